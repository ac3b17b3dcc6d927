"""What the commit and the restore need of a partition's stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ensemble.messages.message import State

Change = tuple[bytes, bytes | None]
"""A changelog record: key and value."""


class Changelogged(Protocol):
    """A store that commits with its partition's batch and is restored from its changelog.

    A restore calls `ensure_schema_known` and `restore` for each record of the changelog; then, of a `Replayable`,
    `replay_from` and, for each fact of the ledger, `replay`; and `restored` at the end.
    """

    @property
    def changelog(self) -> str:
        """The changelog's topic; empty if there is none."""

    @property
    def types(self) -> tuple[type[State], ...]:
        """The state types in the changelog."""

    @property
    def is_dirty(self) -> bool:
        """Whether the batch has changed anything."""

    def changes(self) -> Sequence[Change]:
        """Return the changelog records of this batch, one for each key."""

    def changed_keys(self) -> list[bytes]:
        """Return the keys whose committed value `changes` would change."""

    def fold(self) -> None:
        """Make the batch the committed state: its transaction has committed."""

    def drop(self) -> None:
        """Forget the batch: its transaction has been aborted."""

    def ensure_schema_known(self, value: bytes) -> None:
        """Look up the schema of a changelog record if it came up after start. May raise SchemasUnavailable."""

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take one changelog record, while the partition is being assigned."""

    def restored(self) -> None:
        """Derive what follows from the committed state: everything has been restored."""

    def size(self) -> int:
        """Return how many committed entries there are."""


class Replayable(Changelogged, Protocol):
    """A store whose state is the fold of a ledger's facts."""

    ledger_end: int
    """An offset of the ledger behind which no unknown fact lies: what was delivered and committed."""

    @property
    def ledger(self) -> str:
        """The ledger's topic."""

    def replay_from(self) -> int:
        """Return the ledger offset from which facts have to be folded; call it once the changelog has been read."""

    def replay(self, key: bytes, fact: Any) -> None:
        """Fold one fact of the ledger, unless a snapshot holds it."""
