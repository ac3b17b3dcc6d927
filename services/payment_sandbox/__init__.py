"""A stand-in payment provider: its own HTTP process with a ledger that outlives it."""
