"""Judges how members end: by what was done to them, and for how long that may explain an end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

EXCUSED_S: Final = 45.0
"""Longer than any limit of a member that waits for its broker; what ends later has another reason."""
FENCED_S: Final = 60.0
"""So soon a zombie that runs on has to notice that it was fenced."""
_ENDED_BY_ITSELF: Final = 1
_SIGKILL: Final = -9
_SIGSEGV: Final = -11
"""The client's library may crash when its broker restarts: see tests/end_to_end/reading.py."""


class Finding(NamedTuple):
    """Something that must not be."""

    check: str
    subject: str
    words: str


@dataclass
class MemberExits:
    """Remembers what explains that a member ends, and judges each end by it."""

    now: Callable[[], float] = time.monotonic
    frozen: set[str] = field(default_factory=set)
    """Members that stand still now."""
    _points: dict[str, str] = field(default_factory=dict)
    """Members that will die at a point, and which."""
    _thawed_at: dict[str, float] = field(default_factory=dict)
    _is_broker_away: bool = False
    _broker_back_at: float | None = None

    def expect_crash(self, name: str, point: str) -> None:
        """Note that the member will die at the point."""
        self._points[name] = point

    def begin_anew(self, name: str) -> None:
        """Note that the member has been started: nothing that happened to the process before explains an end."""
        self._points.pop(name, None)
        self.frozen.discard(name)
        self._thawed_at.pop(name, None)

    def freeze(self, name: str) -> None:
        self.frozen.add(name)

    def thaw(self, name: str) -> None:
        self.frozen.discard(name)
        self._thawed_at[name] = self.now()

    def lose_broker(self) -> None:
        self._is_broker_away = True

    def get_broker_back(self) -> None:
        self._is_broker_away, self._broker_back_at = False, self.now()

    def judge(self, name: str, code: int, lines: Sequence[str]) -> str | Finding:
        """Return in words how a member ended that had a reason to, or a finding; `lines` are its log's last ones."""
        if name in self._points and code == _SIGKILL:
            return f"died at {self._points[name]}"
        if code == _SIGSEGV and self._has_lost_broker():
            return "crashed in the client's library"
        if code == _ENDED_BY_ITSELF and (self._has_lost_broker() or self._was_frozen(name)) and failure(lines):
            return "fenced, and said so" if is_fencing(failure(lines)) else "ended itself, and said why"
        return Finding("members", name, f"ended with {code}, for no reason known here: {' | '.join(lines)}")

    def _has_lost_broker(self) -> bool:
        return self._is_broker_away or self._is_recent(self._broker_back_at)

    def _was_frozen(self, name: str) -> bool:
        return name in self.frozen or self._is_recent(self._thawed_at.get(name))

    def _is_recent(self, moment: float | None) -> bool:
        return moment is not None and self.now() - moment < EXCUSED_S


def judge_zombie(name: str, code: int | None, lines: Sequence[str]) -> str | Finding:
    """Return in words that a zombie was fenced, or a finding. No code: it still runs; `lines` it logged since."""
    line = next((line for line in reversed(lines) if is_fencing(line)), "")
    if code == _ENDED_BY_ITSELF and line:
        return "zombie fenced, and said so"
    how = f"runs on after {FENCED_S:g} s" if code is None else f"ended with {code} and did not say that it was fenced"
    return Finding("zombies", name, f"a process whose successor had taken over {how}: {' | '.join(lines[-8:])}")


def failure(lines: Sequence[str]) -> str:
    """Return the last line that says why a process ended itself, or an empty text."""
    return next((line for line in reversed(lines) if _fields(line).get("event") == "service.failed"), "")


def is_fencing(line: str) -> bool:
    """Return whether this log line says that the process ends because another one has its slot."""
    fields = _fields(line)
    return fields.get("event") == "service.failed" and fields.get("error") == "Fenced"


def _fields(line: str) -> dict[str, object]:
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
