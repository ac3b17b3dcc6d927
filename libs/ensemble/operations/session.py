"""One application on one cluster, as whoever operates it meets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ensemble import system_messages
from ensemble.application.declaration import Application
from ensemble.messages import GenericDecoder, SchemaSourceSelector
from ensemble.operations.entries import Entry, decode_entry
from ensemble.operations.view import OnProgress, Projection, View

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient, ReceivedRecord


OpenView = Callable[[Sequence[Projection], str], AbstractContextManager[View]]
"""Takes projections, and in a word what is read."""
KeptView = Callable[[Sequence[Projection]], AbstractContextManager[View | None]]
"""Takes projections."""


def keep_silent(what: str, doing: str = "reading") -> OnProgress:  # noqa: ARG001  who shows progress says of what
    """Show no progress."""
    return lambda _done, _total: None


def decoder_of(application: Application, sources: SchemaSourceSelector) -> GenericDecoder:
    """Return a decoder of every schema of the application and the runtime, under the ids of these sources too."""
    return GenericDecoder([*application.schemas, system_messages.SCHEMAS, sources])


@dataclass(frozen=True)
class Session:
    """What every question and every command of an operator needs. It opens nothing, and closes nothing."""

    application: Application
    client: ClusterClient
    sources: SchemaSourceSelector
    progress: Callable[..., OnProgress] = keep_silent
    """Called with what is read, and what is done with it (by default `reading`), before it takes long."""
    open_view: OpenView | None = None
    """Gives a view that is up to date, such as one in a file; without it, each question reads the topics."""

    kept_view: KeptView | None = None
    """Gives a view that is filled already, as it was left, or None if there is none. Nothing of topics is read."""

    def kept(self, *projections: Projection) -> AbstractContextManager[View | None]:
        """Give what `kept_view` gives: rows that may be out of date, and how far they are."""
        return nullcontext(None) if self.kept_view is None else self.kept_view(projections)

    @contextmanager
    def view(self, *projections: Projection, what: str, view: View | None = None) -> Iterator[View]:
        """Give `view`, or the session's own, or one in memory of these projections that is up to date."""
        if view is not None:
            yield view
            return
        if self.open_view is not None:
            with self.open_view(projections, what) as own:
                yield own
            return
        with View(self.client, projections) as fresh:
            fresh.sync(self.progress(what))
            yield fresh

    @cached_property
    def decoder(self) -> GenericDecoder:
        """A decoder of every schema of the application, under the ids of its files and of a configured registry."""
        return decoder_of(self.application, self.sources)

    def decode(self, record: ReceivedRecord) -> Entry:
        """Decode a record as far as it goes. Never fails, whatever its bytes are."""
        return decode_entry(record, self.decoder, self.application.catalogue)
