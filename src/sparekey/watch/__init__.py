"""What it meant."""
