"""The checks: each a pure function from what was read to what must not be."""
