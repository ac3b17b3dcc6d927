"""One module for each command or group of commands: flags, help, and a call. What a command needs is imported by it."""

__all__: list[str] = []
