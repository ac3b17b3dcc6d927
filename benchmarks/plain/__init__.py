"""The flow as people write it who promise little: five small services against the client, at least once."""
