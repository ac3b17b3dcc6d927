"""The `ensemble` command."""
