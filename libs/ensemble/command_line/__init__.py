"""The command line of any application on the runtime: what a person types, sees and is asked. Needs the extra `cli`."""

__all__: list[str] = []
