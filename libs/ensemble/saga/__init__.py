"""Sagas: the table, the engine that reads it, a ready-made conductor."""
