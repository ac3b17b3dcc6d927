"""Decides what becomes of a failed input: a retry, a parked key, an open circuit, a dead letter."""

__all__ = []
