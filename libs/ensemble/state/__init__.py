"""A partition's state, and the unit of work that stages changes to it."""
