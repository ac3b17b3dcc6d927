"""What an aggregate of entries sees of a partition, and which snapshots each form takes for its own."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ensemble import Topic
from ensemble.errors import UnreadableState
from ensemble.service.stores import event_sourced
from ensemble.state.aggregate_forms import EntryView, ManyEntries, OneState, form_of
from tests.support.scripted_service.messages import Booked, Line, Stamped, Tally
from tests.support.scripted_service.scripted_role import Purse


@dataclass
class Partition:
    """Entries by key; a key without an entry was removed."""

    entries: dict[bytes, Any] = field(default_factory=dict)

    def get(self, key: bytes) -> Any:
        return self.entries.get(key)

    def possible_keys(self) -> Iterable[bytes]:
        return [*self.entries, *self.entries]


LINES = Partition(
    {
        b"a/lines/x": Line(amount=1),
        b"a/lines/y/z": Line(amount=2),
        b"a/lines/gone": None,
        b"a/lined/x": Line(amount=3),
        b"ab/lines/x": Line(amount=4),
        b"a/other/x": Line(amount=5),
    }
)


def test_a_view_shows_the_entries_of_one_name_under_one_key() -> None:
    view = EntryView(LINES, b"a/lines/")
    assert dict(view) == {"x": Line(amount=1), "y/z": Line(amount=2)}
    assert (list(view), len(view)) == (["x", "y/z"], 2)
    assert ("x" in view, "gone" in view, view.get("none")) == (True, False, None)
    with pytest.raises(KeyError, match="gone"):
        view["gone"]


def test_an_aggregate_of_entries_has_its_key_its_number_and_a_view_for_each_name() -> None:
    form = form_of(event_sourced(Purse, Topic("l", "shop", "account_id", (Booked,)), {"lines": Line}))
    assert isinstance(form, ManyEntries)
    assert not form.numbers_facts
    purse = form.read(b"a", 7, LINES)
    assert (purse.account_id, purse.sequence, dict(purse.lines)) == (
        "a",
        7,
        {"x": Line(amount=1), "y/z": Line(amount=2)},
    )
    fact = Booked(account_id="a", sequence=8, label="x", amount=5)
    assert form.fold(b"a", 7, fact, LINES) == {b"a/lines/x": Line(amount=6)}


def test_an_aggregate_that_is_a_state_has_its_defaults_before_the_first_event() -> None:
    form = form_of(event_sourced(Tally, Topic("l", "shop", "account_id", (Stamped,))))
    assert isinstance(form, OneState)
    assert form.numbers_facts
    empty = Partition()
    assert form.read(b"a", 0, empty) == Tally()
    folded = form.fold(b"a", 0, Stamped(account_id="a", amount=3), empty)
    assert folded == {b"a/state/": Tally(total=3, stamps=1)}
    assert form.fold(b"a", 1, Stamped(account_id="a", amount=4), Partition(dict(folded))) == {
        b"a/state/": Tally(total=7, stamps=2)
    }


@pytest.mark.parametrize(
    ("form", "entries", "is_own"),
    [
        (OneState(Tally), [b"a/state/"], True),
        (OneState(Tally), [b"a/lines/x"], False),
        (OneState(Tally), [b"b/state/"], False),
        (ManyEntries(Tally, ["lines"]), [b"a/lines/x"], True),
        (ManyEntries(Tally, ["lines"]), [], True),
        (ManyEntries(Tally, ["lines"]), [b"a/state/"], False),
        (ManyEntries(Tally, ["lines", "state"]), [b"a/state/"], True),
    ],
)
def test_a_snapshot_of_the_other_form_is_no_snapshot(
    form: OneState | ManyEntries, entries: list[bytes], *, is_own: bool
) -> None:
    snapshot = dict.fromkeys(entries, b"")
    if is_own:
        form.require_own(b"a", snapshot)
        return
    with pytest.raises(UnreadableState) as refused:
        form.require_own(b"a", snapshot)
    assert str(refused.value) == (
        "the snapshot of Tally 'a' was written when Tally had another form (`apply` or `entries=`): give the class a "
        "new name, so that it has a new changelog and is folded from its ledger once more"
    )
