"""What interceptors may do to an output, and which ones would do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ensemble.errors import ConfigurationError
from ensemble.interceptors import InterceptedOutput, Interceptor, require_interceptors

SPAN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def output(*headers: tuple[str, Any]) -> InterceptedOutput:
    fields: dict[str, Any] = {name: "" for name in InterceptedOutput.__dataclass_fields__ if name != "_headers"}
    return InterceptedOutput(**fields, _headers=list(headers))


def test_headers_are_added_behind_those_that_there_are() -> None:
    made = output(("ce_id", "m-1"))
    made.add_header("tenant", b"a")
    made.add_header("tenant", b"b")
    assert made.headers == (("ce_id", "m-1"), ("tenant", b"a"), ("tenant", b"b"))
    with pytest.raises(ValueError, match="ce_id"):
        made.add_header("ce_id", b"m-2")
    assert len(made.headers) == 3


def test_a_trace_takes_the_place_of_the_one_before() -> None:
    made = output(("traceparent", "old"), ("ce_id", "m-1"), ("tracestate", b"old"))
    made.set_trace(SPAN, "a=1")
    assert list(made.headers) == [("ce_id", "m-1"), ("traceparent", SPAN), ("tracestate", b"a=1")]
    made.set_trace(SPAN)
    assert list(made.headers) == [("ce_id", "m-1"), ("traceparent", SPAN)]
    with pytest.raises(ValueError, match="traceparent 'x' is none by W3C"):
        made.set_trace("x")


class Awaited(Interceptor):
    """Would never run."""

    async def intercept_sending(self, record: Any) -> None:  # type: ignore[override]  # that is the mistake
        """Await nothing."""


class Generated(Interceptor):
    """Is no context manager."""

    def intercept_commit(self, commit: Any) -> Iterator[None]:  # type: ignore[override]  # that is the mistake
        yield


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([Interceptor(), Interceptor], "interceptors holds the class Interceptor; give instances of subclasses"),
        (["x"], "interceptors holds a str; give instances of subclasses"),
        ([Awaited()], "Awaited.intercept_sending is async and would never run; write it with def"),
        ([Interceptor(), Generated()], "Generated.intercept_commit is a generator; put @contextmanager above it"),
    ],
)
def test_an_interceptor_that_would_do_nothing_is_refused(items: list[Any], reason: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        require_interceptors(items, "payment")
    assert str(refusal.value).startswith(f"payment: {reason}")
    require_interceptors([Interceptor()], "payment")


def test_an_interceptor_that_overrides_nothing_lets_everything_through() -> None:
    plain: Any = Interceptor()
    with plain.intercept_handling(object()), plain.intercept_commit(object()):
        plain.intercept_sending(output())
        plain.intercept_scheduling(object())
