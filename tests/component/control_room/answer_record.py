"""Writes down whole answers of the control room, and what it has written to Kafka; what differs each time is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pprint import pformat
from threading import Event
from time import monotonic
from typing import Any, Final

from ensemble.operations import now
from services.control_room.security import HEADERS
from tests.component.control_room.conftest import RoomInMemory

AGO_S: Final = 580.0
"""So long ago the services began: ages in minutes are the same on a slow machine."""
_UNKEPT: Final = {"content-length", "content-type", "etag", "date", *map(str.lower, HEADERS)}
_USUAL: Final = {("cache-control", "private, no-cache")}
_ENDED: Final = {"finished", "stopped", "interrupted"}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00| UTC)?|\b[12]\d{12}\b")
_MOMENT: Final = re.compile(
    r"\b0\.\d{3} s\b|(?:(?<='after_ms': )|(?<='p[59][09]_ms': ))\d{1,3}\b|\b\d{1,3} / \d{1,3} ms\b"
)
"""Records are a millisecond apart, so these say how many records services have written meanwhile."""
_CLOCK: Final = re.compile(r"\b\d\d:\d\d:\d\d(?:\.\d+)?\b")
_MAIN: Final = re.compile(r'<main[^>]*>\s*<div id="view-banner"[^>]*>(.*)</main>', re.DOTALL)
"""What a page has of its own, and what its banner says of the view."""
_ID: Final = re.compile(r"\b(?:(?=[0-9]*[a-f])[0-9a-f]{8,15}|[0-9a-f]{16,})\b")
_TRACEBACK: Final = re.compile(r'Traceback \(most recent call last\):(?:[^"<\\]|\\.)*')


class AnswerRecord:
    """A browser that writes down each answer as a whole."""

    def __init__(self, room: RoomInMemory) -> None:
        self.room, self._lines = room, list[str]()
        room.browser.headers["X-Operator"] = "olga"
        self._known = set[tuple[str, int, int]]()

    def get(self, *paths: str, **headers: str) -> Any:
        """Ask for each, and return the last answer."""
        answers = [self._answer("GET", path, headers=headers) for path in paths]
        return answers[-1]

    def post(self, path: str, document: Any = None, *, method: str = "POST", headers: Any = None, **form: Any) -> Any:
        """Send a document as JSON, or else a form, and write down what was written to Kafka, too."""
        sent = {"data": form} if document is None else {"json": document}
        answer = self._answer(method, path, headers=headers, **sent)
        self.written()
        return answer

    def run(self, path: str, document: Any = None, **form: Any) -> str:
        """Start a run, wait for its end, and write down its events. Return its id."""
        sent = {"data": form} if document is None else {"json": document}
        answer = self.room.browser.post(path, follow_redirects=False, **sent)
        run_id, limit = answer.headers["Location"].rpartition("/")[2], monotonic() + 20
        self._lines += ["", f"> POST {path} {document or form}", f"< {answer.status_code} {answer.headers['Location']}"]
        while self.room.room.actions.look_up(run_id).summary.state not in _ENDED:
            assert monotonic() < limit, self.room.room.actions.look_up(run_id)
            Event().wait(0.01)
        self._lines += _shown(self.room.browser.get(f"/api/runs/{run_id}").json())
        for event in self.room.room.actions.history_of(run_id):
            self._lines.append(f"event {event.model_dump_json()}")
        self.written()
        self.room.update()
        return run_id

    def written(self) -> None:
        """Write down the records that the control room has written since, and how often the provider was asked."""
        flow = self.room.flow
        flow.settle()
        for record in flow.read(flow.places(flow.topics())):
            if (record.topic, record.partition, record.offset) in self._known:
                continue
            self._known.add((record.topic, record.partition, record.offset))
            if record.headers.get("ce_source", b"").endswith(b"control-room") or b"control-room" in (
                record.value or b""
            ):
                entry = self.room.room.session.decode(record)
                fields = {
                    name: f"{len(value)} bytes" if isinstance(value, bytes) else value
                    for name, value in entry.fields.items()
                }
                headers = {name: value.decode() for name, value in record.headers.items() if name != "traceparent"}
                self._lines += [f"written {record.topic} {record.key!r}", *_shown(fields), *_shown(headers)]

    def note(self, *facts: object) -> None:
        """Write down something else."""
        self._lines += map(str, facts)

    def __str__(self) -> str:
        return "\n".join(self._named_anew(self._lines)) + "\n"

    def _answer(self, method: str, path: str, **sent: Any) -> Any:
        answer = self.room.browser.request(method, path, follow_redirects=False, **sent)
        kept = [pair for pair in answer.headers.items() if pair[0] not in _UNKEPT and pair not in _USUAL]
        headers = "; ".join([answer.headers.get("content-type", ""), *(f"{name}: {value}" for name, value in kept)])
        lacking = [name for name, value in HEADERS.items() if answer.headers.get(name) != value]
        body = {name: value for name, value in sent.items() if value and name != "headers"}
        self._lines += ["", f"> {method} {path} {body or ''}".rstrip(), f"< {answer.status_code} {headers}"]
        self._lines += [f"lacks {lacking}"] if lacking else []
        self._lines += _body_of(answer)
        return answer

    def _named_anew(self, lines: list[str]) -> Iterator[str]:
        began, ids = self.room.flow._began, dict[str, str]()
        for line in lines:
            text = _TIME.sub(lambda match: _relative(match[0], began), line)
            text = _MOMENT.sub("(moment)", _CLOCK.sub("(clock)", text))
            yield _ID.sub(lambda match: ids.setdefault(match[0], f"(id {len(ids) + 1})"), text)


def _body_of(answer: Any) -> list[str]:
    kind, text = answer.headers.get("content-type", ""), _TRACEBACK.sub("(traceback)", answer.text)
    if "json" in kind and text:
        return _shown(json.loads(text))
    main = _MAIN.search(text) if kind.startswith("text/html") else None
    text = main[1] if main else text
    return [line.strip() for line in text.splitlines() if line.strip()]


def _shown(value: Any) -> list[str]:
    return pformat(value, width=160, compact=True, sort_dicts=False).splitlines()


def _ms(text: str) -> int:
    if text.isdecimal():
        return int(text)
    moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _relative(text: str, began: int) -> str:
    """Return a time by what has passed since the services began, or by minutes from now; an old one as it is."""
    at = _ms(text)
    if at < began:
        return text
    if at < began + 300_000:
        return f"T+{(at - began) // 1000}s"
    minutes = 5 * round((at - now()) / 300_000)
    return f"(now {minutes:+} min)" if minutes else "(now)"
