"""Who else trades."""
