"""One module for each command or group of commands: flags, help, and a call. What a command needs is imported by it."""

from ensemble.extras import imports_of_extra

with imports_of_extra("cli", "the command line"):
    import typer  # noqa: F401  every command needs it

__all__: list[str] = []
