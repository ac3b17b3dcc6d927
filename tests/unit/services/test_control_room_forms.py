"""What a form has sent, which plans are dangerous, how their runs proceed, and what they are called."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.operations import Invalid, PausePlan, RedrivePlan, Resolved, Rollout, Skipped, Submitted
from services.control_room.access import Person, Role
from services.control_room.actions import _skipped_events
from services.control_room.api.failures import _parse_cursor
from services.control_room.pages.forms import _fields_of, intent_of, number_of, rate_of, text_of
from services.control_room.pages.plans import _is_dangerous, _rollout_of, back_url
from services.control_room.planner import KeptPlan
from services.control_room.work_actions import (
    DeadLetterConditions,
    Discard,
    DiscardParked,
    EndPause,
    Redrive,
    RetryParked,
    StartPause,
    describe_action,
)

REDRIVE, DISCARD = Redrive(dead_letters=("a/0/1",)), Discard(dead_letters=("a/0/1",))
RETRY, DISCARD_PARKED = RetryParked(key="o-1"), DiscardParked(key="o-1", service="payment")
START, END = StartPause(scope="step", name="payment"), EndPause(scope="service", name="order")


def kept(action: Any, items: int = 1, edited: bytes | None = None, kind: Any = RedrivePlan) -> KeptPlan:
    """Return a plan with so many items, whatever these are."""
    plan: Any = kind.model_construct(items=(None,) * items, edited=edited)
    return KeptPlan(action, plan)


@pytest.mark.parametrize(
    ("plan", "is_dangerous"),
    [
        (kept(REDRIVE), False),
        (kept(REDRIVE, 0), False),
        (kept(REDRIVE, 2), True),
        (kept(REDRIVE, edited=b""), True),
        (kept(RETRY), False),
        (kept(RETRY, 2), True),
        (kept(DISCARD), True),
        (kept(DISCARD_PARKED), True),
        (kept(START, kind=PausePlan), True),
        (kept(REDRIVE, edited=b"", kind=PausePlan), False),
        (kept(END, kind=PausePlan), False),
        (kept(END, 2, kind=PausePlan), True),
    ],
)
def test_what_touches_several_things_or_cannot_be_taken_back_is_dangerous(
    plan: KeptPlan, *, is_dangerous: bool
) -> None:
    assert _is_dangerous(plan) is is_dangerous


def test_a_run_proceeds_as_its_form_says() -> None:
    form = {"rate": ["2.5"], "stop_on_failure": ["on"], "probe": ["3"], "wave": ["7"]}
    redrive = Rollout(probe=0, wave=100, max_failed=1, timeout_s=30)
    assert _rollout_of(kept(REDRIVE), form) == redrive.model_copy(update={"rate": 2.5, "stop_on_failure": True})
    assert _rollout_of(kept(REDRIVE), {}) == redrive.model_copy(update={"rate": None, "stop_on_failure": False})
    assert _rollout_of(kept(START, kind=PausePlan), form) is None
    waves = KeptPlan(END, object())  # type: ignore[arg-type]  # any other plan
    assert _rollout_of(waves, form) == Rollout(probe=3, wave=7)
    assert _rollout_of(waves, {}) == Rollout(probe=1, wave=10)


@pytest.mark.parametrize(
    ("action", "text", "url"),
    [
        (REDRIVE, "redrive 2 dead letters", "/dead-letters/a/0/1"),
        (DISCARD, "discard 2 dead letters", "/dead-letters/a/0/1"),
        (Redrive(dead_letters=("a/0/1", "a/0/2")), "redrive 2 dead letters", "/dead-letters"),
        (Discard(where=DeadLetterConditions(group="a&b")), "discard 2 dead letters", "/dead-letters?group=a%26b"),
        (Redrive(where=DeadLetterConditions(key="o-1")), "redrive 2 dead letters", "/dead-letters"),
        (RETRY, "try the first record of the parked key o-1", "/parked?key=o-1"),
        (DISCARD_PARKED, "discard the first record of the parked key o-1 of payment", "/parked?key=o-1"),
        (START, "pause the step payment", "/pauses"),
        (END, "end the pause of the service order", "/pauses"),
    ],
)
def test_an_action_is_described_and_leads_back_to_what_it_is_about(action: Any, text: str, url: str) -> None:
    assert (describe_action(action, 2), back_url(action)) == (text, url)


def test_the_last_value_of_a_field_counts_without_space_around_it() -> None:
    form = {"place": ["first", " last "], "empty": [" "]}
    assert [text_of(form, name) for name in ("place", "empty", "missing")] == ["last", "", ""]


@pytest.mark.parametrize(("text", "number"), [("", 7), (" ", 7), ("0", 0), ("-3", -3), (" 12 ", 12)])
def test_a_whole_number_is_read_or_has_a_default(text: str, number: int) -> None:
    assert number_of({"wave": [text]}, "wave", 7) == number


@pytest.mark.parametrize("text", ["1.5", "x" * 41, "1e3"])
def test_what_is_no_whole_number_is_named_in_short(text: str) -> None:
    with pytest.raises(Invalid) as error:
        number_of({"wave": [text]}, "wave", 7)
    assert (str(error.value), error.value.field) == (f"wave: {text[:40]!r} is no whole number", "wave")


@pytest.mark.parametrize(("text", "rate"), [("", None), ("0.001", 0.001), ("1", 1.0), ("10000", 10_000.0)])
def test_a_rate_is_above_nothing_and_has_a_limit(text: str, rate: float | None) -> None:
    assert rate_of({"rate": [text]}, "rate") == rate


@pytest.mark.parametrize("text", ["0", "-1", "10000.1", "nan", "inf", "fast"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=f"^rate: '{text}' is no number from 0 to 10,000") as error:
        rate_of({"rate": [text]}, "rate")
    assert error.value.field == "rate"


def test_who_acts_says_why() -> None:
    ann = Person("ann", Role.ACT)
    intent = intent_of(ann, {"reason": [" mended "]})
    assert (intent.actor.name, intent.reason) == ("ann", "mended")
    for reason, words in (("", "say why: the reason goes into the audit"), ("a\x1bb", "reason: ")):
        with pytest.raises(Invalid, match=f"^{words}") as error:
            intent_of(ann, {"reason": [reason]})
        assert error.value.field == "reason"


@pytest.mark.parametrize(("text", "start"), [(None, 0), ("0", 0), ("007", 7), ("9" * 15, 10**15 - 1)])
def test_a_page_goes_on_where_the_last_one_says(text: str | None, start: int) -> None:
    assert _parse_cursor(text) == start


@pytest.mark.parametrize("text", ["", "-1", "1.0", "²", "9" * 16])
def test_what_no_page_has_said_is_no_place_to_go_on_from(text: str) -> None:
    with pytest.raises(Invalid, match="is no place to go on from") as error:
        _parse_cursor(text)
    assert error.value.field == "cursor"


@pytest.mark.parametrize(("waves", "wave"), [([], 0), ([2, 3, 1], 3)])
def test_what_an_action_would_not_change_any_more_is_told_with_the_last_wave(waves: list[int], wave: int) -> None:
    plan: Any = SimpleNamespace(skipped=[Skipped(name="o-1", why="completed")])
    before = [Submitted(name="o-2", wave=number) for number in waves]
    (event,) = _skipped_events(plan, before)
    assert event == Resolved(name="o-1", wave=wave, outcome="skipped", is_good=True, detail="completed", at=event.at)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        (b"a=1&b=&a=2", {"a": ["1", "2"], "b": [""]}),
        (b"a=%C3%A4+b", {"a": ["\u00e4 b"]}),
        ("&".join(f"f{number}=" for number in range(500)).encode(), {f"f{number}": [""] for number in range(500)}),
    ],
    ids=["none", "several", "escaped", "most"],
)
def test_a_form_is_read_with_all_its_values(body: bytes, fields: dict[str, list[str]]) -> None:
    assert asyncio.run(_fields_of(sent(body))) == fields


@pytest.mark.parametrize("body", [b"a", b"a=1&&b=2", b"a=\xff", b"&".join([b"a="] * 501)], ids=len)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid, match=r"^this is no form: ") as error:
        asyncio.run(_fields_of(sent(body)))
    assert error.value.hint == "send it with the page's own button"


def sent(body: bytes) -> Any:
    async def read() -> bytes:
        return body

    return SimpleNamespace(body=read)
