"""What happens to orders and money."""
