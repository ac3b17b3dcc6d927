"""Answers of requests that must not be carried out twice, kept in a file and given again for a day."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from services.control_room.own_file import OwnFile
from services.control_room.problems import Problem

KEY_FIELD: Final = "Idempotency-Key"
KEPT_S: Final = 24 * 3600
"""How long an answer is given again."""
_ABANDONED_S: Final = 60
"""A request that takes longer is not running any more: its process, or its disk, failed it."""
_FAILED: Final = -1
"""The status of a request that was not answered: the same one, or another one with its key, is carried out."""
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS requests (
        scope TEXT, key TEXT, body TEXT NOT NULL, begun REAL NOT NULL, status INTEGER, answer TEXT,
        PRIMARY KEY (scope, key)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS requests_begun ON requests (begun)
"""


class KeyReused(Problem):
    """The key was used for another request."""

    def __init__(self) -> None:
        reason = "the key was used for another request in the last 24 hours; give each request a key of its own"
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, reason, field=KEY_FIELD)


class StillRunning(Problem):
    """The first request with the key has no answer yet."""

    def __init__(self) -> None:
        reason = "the request with this key is still running; ask again in a moment"
        super().__init__(HTTPStatus.CONFLICT, reason, field=KEY_FIELD, headers={"Retry-After": "1"})


@dataclass(frozen=True)
class Answer:
    """What a request was answered with: a document as JSON."""

    status: int
    document: str
    is_replayed: bool = False


class IdempotentRequests:
    """Carries each request out once for its key. Any thread may use it; so may several processes on one file."""

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        """Open or create the file; without one, answers last as long as the process."""
        self._file, self._clock = OwnFile(path, _SCHEMA), clock
        self._running = set[tuple[str, str]]()
        """What this process carries out now, whatever the machine's clock says."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def answer(self, scope: str, key: str, body: str, carry_out: Callable[[bool], Answer]) -> Answer:
        """Carry a request out, or return what it was answered with before.

        `carry_out` is told whether the same was tried before and has failed, maybe after its effect. Raises
        KeyReused if the key was used for another body, and StillRunning while the first request is. What `carry_out`
        raises is raised, and no answer is kept: the request may be repeated.
        """
        digest = fingerprint(body)
        before = self._begin(scope, key, digest)
        if isinstance(before, Answer):
            return before
        self._running.add((scope, key))
        try:
            return self._carry_out(scope, key, digest, lambda: carry_out(before))
        finally:
            self._running.discard((scope, key))  # now that its row says what became of it

    def _carry_out(self, scope: str, key: str, body: str, carry_out: Callable[[], Answer]) -> Answer:
        try:
            answer = carry_out()
        except BaseException:
            self._keep(scope, key, body, None)
            raise
        self._keep(scope, key, body, answer)
        return answer

    def _keep(self, scope: str, key: str, body: str, answer: Answer | None) -> None:
        """Keep what became of a request, whose row may be gone: the machine's clock was set forward meanwhile."""
        status, document = (answer.status, answer.document) if answer else (_FAILED, None)
        with self._file.transaction() as db:
            update = "UPDATE requests SET status = ?, answer = ? WHERE scope = ? AND key = ?"
            if not db.execute(update, (status, document, scope, key)).rowcount:
                row = (scope, key, body, self._clock(), status, document)
                db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?)", row)

    def _begin(self, scope: str, key: str, body: str) -> Answer | bool:
        """Note that a request runs and return whether the same was tried before, or return the answer that it has."""
        now = self._clock()
        with self._file.transaction() as db:
            db.execute("DELETE FROM requests WHERE begun < ?", (now - KEPT_S,))
            select = "SELECT body, begun, status, answer FROM requests WHERE scope = ? AND key = ?"
            row = db.execute(select, (scope, key)).fetchone()
            is_running = (scope, key) in self._running
            if not is_running and (row is None or row[2] == _FAILED or _is_abandoned(row, body, now)):
                db.execute("INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, NULL, NULL)", (scope, key, body, now))
                return row is not None and row[0] == body
        if row is None:
            raise StillRunning
        first_body, _, status, answer = row
        if first_body != body:
            raise KeyReused
        if status is None or is_running:
            raise StillRunning
        return Answer(status, answer, is_replayed=True)


def _is_abandoned(row: Any, body: str, now: float) -> bool:
    """Return whether nobody carries it out any more. A clock that was set back makes it begin in the future."""
    return row[2] is None and row[0] == body and abs(now - row[1]) > _ABANDONED_S


def fingerprint(body: str) -> str:
    """Return the same text for the same JSON, however it is written; a file of it gives no payment token away."""
    canonical = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=16).hexdigest()
