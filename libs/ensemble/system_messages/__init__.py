"""The messages and states that the runtime itself writes."""
