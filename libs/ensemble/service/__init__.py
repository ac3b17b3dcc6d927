"""What the author of a service declares."""
