"""Retry and saga policies, and the files they come from."""
