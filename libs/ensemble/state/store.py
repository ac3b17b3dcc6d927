"""What the commit and the restore need of a partition's stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ensemble.errors import EnsembleError
from ensemble.messages.records import ConsumedRecord

Change = tuple[bytes, bytes | None]
"""A changelog record: key and value; None is a tombstone."""


class StartOver(EnsembleError):
    """A copy of a changelog turned out, while the rest of it was read, to be of another one; it is empty now."""


class Store(Protocol):
    """State that commits with its partition's batch."""

    @property
    def is_dirty(self) -> bool:
        """Whether the batch has changed anything."""

    def commit(self) -> None:
        """Make the batch the committed state: its transaction has committed."""

    def abort(self) -> None:
        """Discard the batch: its transaction has been aborted."""

    def finish_restore(self) -> None:
        """Index the committed state: all changelogs and ledgers have been read."""

    def size(self) -> int:
        """Return how many committed entries there are: about, for a store on disk, but exactly 0 if there is none."""


class Changelogged(Store, Protocol):
    """A store that writes its changes to a changelog and is restored from it."""

    @property
    def changelog(self) -> str:
        """The changelog's topic."""

    def changes(self) -> Sequence[Change]:
        """Return the changelog records of this batch, one for each key; called once, when the batch is committed."""

    def changed_keys(self) -> list[bytes]:
        """Return the keys whose committed value this batch would change; for a batch that is never committed."""

    def ensure_schema_known(self, value: bytes) -> None:
        """Look up the schema of a changelog record if it came up after start. Raises SchemasUnavailable."""

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Apply one changelog record, whose schema is known; None removes the key."""


class Replayable(Store, Protocol):
    """A store whose state is the fold of a ledger's facts."""

    ledger_end: int
    """An offset of the ledger behind which no unknown fact lies: what was delivered and committed."""

    @property
    def ledger(self) -> str:
        """The ledger's topic."""

    def replay_from(self) -> int:
        """Return the ledger offset from which facts have to be folded; called once the changelog has been read."""

    def replay(self, key: bytes, fact: Any, record: ConsumedRecord) -> None:
        """Fold one fact of the ledger, unless a snapshot holds it. Raises TerminalError if it is not the next one."""
