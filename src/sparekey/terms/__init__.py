"""Words every room shares."""
