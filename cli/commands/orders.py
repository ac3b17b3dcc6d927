from __future__ import annotations

import typer

group = typer.Typer()


@group.command()
def show() -> None:
    pass
