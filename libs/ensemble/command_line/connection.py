"""The cluster that a command talks to, from the environment, and patience while it is read."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from ensemble.command_line.profiles import name_in_use, use_current
from ensemble.command_line.selection import application
from ensemble.command_line.streams import say, show_count

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient, ReceivedRecord
    from ensemble.messages import GenericDecoder, SchemaSourceSelector
    from ensemble.operations import Endpoints, Entry, Session
    from ensemble.operations.view import Projection, View

_SILENT_S = 2.0
_CLUSTER: ContextVar[ClusterClient | None] = ContextVar("cluster", default=None)


@contextmanager
def connected_to(access: ClusterClient) -> Iterator[None]:
    """Have every command that runs within talk to this cluster, and not to that of the environment."""
    token = _CLUSTER.set(access)
    try:
        yield
    finally:
        _CLUSTER.reset(token)


def is_connected() -> bool:
    """Return whether the caller has chosen the cluster by `connected_to`."""
    return _CLUSTER.get() is not None


def connect() -> ClusterClient:
    """Connect to the cluster of the environment. Raises ConfigurationError with advice if there is none."""
    if (connected := _CLUSTER.get()) is not None:
        return connected
    application()  # what is wrong with it is said before a cluster is waited for
    from ensemble.kafka.client import open_client
    from ensemble.settings import KafkaSettings, load

    use_current()
    keep_the_client_quiet()
    return open_client(load(KafkaSettings), patience_s(), on_wait=say_waiting, is_short_lived=True)


def cluster_name(access: ClusterClient) -> str:
    """Return the cluster as questions name it."""
    profile = name_in_use()
    return f"{profile} ({access.bootstrap_servers})" if profile else access.bootstrap_servers


def open_session(*, use_file: bool = True) -> Session:
    """Connect, and return what operators' questions and commands need.

    With `use_file` they are answered from the view that is kept in a file for each cluster.
    """
    session = session_on(connect())
    return replace(session, open_view=partial(_open_view, session.client)) if use_file else session


def _open_view(client: ClusterClient, projections: Sequence[Projection], what: str) -> AbstractContextManager[View]:
    from ensemble.command_line.view import synced_view

    return synced_view(client, projections, what)


def session_on(access: ClusterClient) -> Session:
    """Return the same for a cluster that is connected to."""
    from ensemble.operations import Session

    return Session(application(), access, sources(), progress, kept_view=partial(_kept_view, access))


def _kept_view(client: ClusterClient, projections: Sequence[Projection]) -> AbstractContextManager[View | None]:
    from ensemble.command_line.view import kept_view

    return kept_view(client, projections)


def entry_of(record: ReceivedRecord) -> Entry:
    """Decode a record by the schemas of the application. Never fails, whatever its bytes are."""
    from ensemble.operations import decode_entry

    return decode_entry(record, _decoder(), application().catalogue)


@cache
def _decoder() -> GenericDecoder:
    from ensemble.operations import decoder_of

    return decoder_of(application(), sources())


@cache
def sources() -> SchemaSourceSelector:
    """Return the sources of schema ids, opened once for this process. Unknown ids are not waited for."""
    from ensemble.kafka.registry import schema_sources
    from ensemble.settings import RegistrySettings, load

    return schema_sources(load(RegistrySettings).for_commands(settle_s=0.0), limit_s=patience_s(), on_wait=say_waiting)


def patience_s() -> float:
    """Return how long a command waits for each answer of what may be coming up."""
    from ensemble.settings import CommandSettings, load

    return load(CommandSettings).startup_timeout_s


def endpoints() -> Endpoints:
    """Return where the processes of services answer, as far as the environment says it."""
    from ensemble.operations import Endpoints
    from ensemble.settings import CommandSettings, load

    settings = load(CommandSettings)
    token = settings.http_token.get_secret_value() if settings.http_token else ""
    return Endpoints(settings.health_urls, token)


def say_waiting(reason: str) -> None:
    """Say what the command waits for. The limit is one for each answer."""
    say(f"waiting for {reason}")


def keep_the_client_quiet() -> None:
    """Silence the Kafka client's own log: errors reach the user as messages of the command."""
    log = logging.getLogger("librdkafka")
    log.addHandler(logging.NullHandler())
    log.propagate = False


def progress(
    what: str, doing: str = "reading", *, monotonic: Callable[[], float] = time.monotonic
) -> Callable[[int, int], None]:
    """Show on stderr how far a work is, once it has taken more than two seconds."""
    began, shown = monotonic(), [0.0]

    def on_read(read: int, total: int) -> None:
        now = monotonic()
        if now - began > _SILENT_S and now - shown[0] > 1:
            shown[0] = now
            share = 100 * read // total if total else 100
            show_count(f"{doing} {what}: {min(share, 100)} % of {total} records")

    return on_read
