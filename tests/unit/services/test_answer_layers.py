"""What lies around each answer of the control room: its tag, and the headers that keep others out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.control_room.conditional_requests import ConditionalRequests
from services.control_room.security import HEADERS, SecurityHeaders

JSON, HTML = "application/json; charset=utf-8", "text/html"
BODY = (b'{"a": ', b"1}")


def answer(
    layer: Any,
    condition: str | None = None,
    *,
    method: str = "GET",
    kind: str = "http",
    status: int = 200,
    **headers: str,
) -> tuple[list[Any], list[bytes]]:
    """Return what is sent through a layer of an answer in two parts: the starts, and the bodies."""
    sent: list[Any] = []

    async def app(_: Any, __: Any, send: Any) -> None:
        pairs = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": BODY[0], "more_body": True})
        await send({"type": "http.response.body", "body": BODY[1]})

    async def send(message: Any) -> None:
        sent.append(message)

    asked = [] if condition is None else [(b"if-none-match", condition.encode())]
    asyncio.run(layer(app)({"type": kind, "method": method, "headers": asked}, None, send))
    starts = [each for each in sent if each["type"] == "http.response.start"]
    return starts, [each["body"] for each in sent if each["type"] == "http.response.body"]


def headers_of(start: Any) -> dict[str, str]:
    return {name.decode().lower(): text.decode() for name, text in start["headers"]}


def tag_of_body() -> str:
    (start,), _ = answer(ConditionalRequests, content_type=JSON)
    return headers_of(start)["etag"].strip('"')


def test_an_answer_of_json_is_sent_whole_with_a_tag_that_is_its_content_s() -> None:
    (start,), bodies = answer(ConditionalRequests, content_type=JSON, content_length="8")
    headers = headers_of(start)
    assert (start["status"], bodies) == (200, [b"".join(BODY)])
    assert headers == {"content-type": JSON, "content-length": "8", "etag": f'"{tag_of_body()}"'}
    assert len(tag_of_body()) == 24


@pytest.mark.parametrize(
    ("condition", "is_known"),
    [
        ('"{}"', True),
        ('W/"{}"', True),
        ('"other", "{}"', True),
        (" * ", True),
        ('"other"', False),
        ("{}", False),
        ("", False),
        ('"*"', False),
    ],
)
def test_whoever_has_the_answer_is_told_so_and_sent_none(condition: str, *, is_known: bool) -> None:
    (start,), bodies = answer(
        ConditionalRequests, condition.format(tag_of_body()), content_type=JSON, content_length="8"
    )
    assert (start["status"], bodies) == ((304, [b""]) if is_known else (200, [b"".join(BODY)]))
    assert headers_of(start).keys() == ({"etag"} if is_known else {"etag", "content-type", "content-length"})


@pytest.mark.parametrize(
    "other",
    [
        {"method": "POST", "content_type": JSON},
        {"kind": "lifespan", "content_type": JSON},
        {"status": 202, "content_type": JSON},
        {"status": 404, "content_type": JSON},
        {"content_type": HTML},
        {},
    ],
    ids=str,
)
def test_any_other_answer_is_sent_part_by_part_as_it_comes(other: dict[str, Any]) -> None:
    (start,), bodies = answer(ConditionalRequests, "*", **other)
    assert (start["status"], bodies) == (other.get("status", 200), list(BODY))
    assert "etag" not in headers_of(start)


def test_each_answer_has_the_headers_that_keep_others_out() -> None:
    (start,), bodies = answer(SecurityHeaders, content_type=HTML, x_frame_options="ALLOW")
    expected = {name.lower(): text for name, text in HEADERS.items()}
    assert headers_of(start) == {**expected, "content-type": HTML, "cache-control": "private, no-cache"}
    assert bodies == list(BODY)
    (kept,), _ = answer(SecurityHeaders, cache_control="max-age=60")
    assert headers_of(kept)["cache-control"] == "max-age=60"
    (other,), _ = answer(SecurityHeaders, kind="lifespan")
    assert headers_of(other) == {}
