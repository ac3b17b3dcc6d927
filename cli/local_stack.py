"""A local system as the environment configures it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ensemble.command_line.connection import keep_the_client_quiet, patience_s
from ensemble.settings import KafkaSettings, RuntimeSettings, load
from launcher import Member, Stack, StackPlan
from services.app import APP

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def stack_of(
    directory: Path,
    members: Iterable[str | Member],
    say: Callable[[str], None],
    *,
    kafka: KafkaSettings | None = None,
    environment: Mapping[str, str] = _NOTHING,
    is_demo: bool = False,
) -> Stack:
    """Return a stack with its files in the directory: on this cluster, or with a broker of its own.

    Of a demonstration the control room may kill and restart members, and order outages of the provider.
    """
    keep_the_client_quiet()
    token = load(RuntimeSettings).http_token
    plan = StackPlan(
        application=APP,
        directory=directory,
        members=members,
        kafka=kafka or load(KafkaSettings, bootstrap_servers=None),
        patience_s=patience_s(),
        environment=environment,
        token=token.get_secret_value() if token else "",
        is_demo=is_demo,
    )
    return Stack(plan, say)
