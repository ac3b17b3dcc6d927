import pytest

from ensemble.messages.records import StoredRecord
from ensemble.state.parking import (
    KeyState,
    ParkingStore,
    RecordState,
    ResolutionState,
    describe_state_key,
    parked_record,
)
from ensemble.system_messages.state import ParkedKey, ParkedRecord, Pause, Resolution

DAY = 86_400_000


def record_with_label(label: str, offset: int = 0) -> ParkedRecord:
    record = StoredRecord("shop.commands", 0, offset, b"a", label.encode(), [("ce_id", b"one")])
    return parked_record(record, "Script", label, 1)


def parked(*labels: str, due_at: int | None = None) -> ParkingStore:
    """Committed: the key `a` with these records."""
    store = ParkingStore("parked-changelog")
    store.park(
        b"a", ParkedKey(status="retrying", first=0, next=1, since=1, due_at=due_at), record_with_label(labels[0])
    )
    for offset, label in enumerate(labels[1:], start=1):
        store.append(b"a", record_with_label(label, offset))
    store.commit()
    return store


def restored(store: ParkingStore) -> ParkingStore:
    fresh = ParkingStore("parked-changelog")
    for key, value in store.committed.items():
        fresh.restore(key, value)
    fresh.finish_restore()
    return fresh


def labels(store: ParkingStore, key: bytes = b"a") -> list[str]:
    return [(record.value or b"").decode() for _, record in store.records(key)]


def test_records_of_a_key_keep_their_order() -> None:
    store = parked("x", "y", "z")
    assert labels(restored(store)) == ["x", "y", "z"]
    assert not store.pop(b"a")
    assert (labels(store), store.record_count, store.depth(b"a")) == (["y", "z"], 2, 2)


def test_a_key_that_is_not_parked_has_no_fingerprints() -> None:
    assert list(parked("x").fingerprints(b"b", lambda record: record.value or b"")) == []


def test_a_record_is_kept_byte_by_byte() -> None:
    record = StoredRecord("t", 1, 7, None, None, [("ce_id", b"\xff"), ("ce_id", b"2")])
    parked = parked_record(record, "", "", 1)
    assert (parked.key, parked.value) == (None, None)
    assert [(header.name, header.value) for header in parked.headers] == [("ce_id", b"\xff"), ("ce_id", b"2")]


def test_the_last_pop_frees_the_key_and_leaves_nothing() -> None:
    store = parked("x", "y")
    assert [store.pop(b"a"), store.pop(b"a")] == [False, True]
    store.commit()
    assert (store.committed, store.keys, store.record_count) == ({}, set(), 0)


def test_a_key_freed_and_parked_again_in_one_batch_holds_only_the_new_records() -> None:
    store = parked("x", "y")
    store.pop(b"a")
    store.pop(b"a")
    store.park(b"a", ParkedKey(status="retrying", first=0, next=1, since=2), record_with_label("z"))
    store.commit()
    assert (labels(store), store.record_count) == (["z"], 1)
    assert len(store.committed) == 2


def test_closing_leaves_what_waits_behind() -> None:
    store = parked("x", "y", "undo")
    store.remove_moot(b"a", 2)
    store.commit()
    assert (labels(restored(store)), store.record_count) == (["undo"], 1)


def test_a_dropped_batch_leaves_all_as_it_was() -> None:
    store = parked("x", "y", due_at=5)
    assert store.take_due(9, 10) == [b"a"]
    store.abort()
    assert store.take_due(9, 10) == [b"a"]
    store.pop(b"a")
    store.pop(b"a")
    store.abort()
    assert (labels(store), store.record_count, store.next_due()) == (["x", "y"], 2, 5)


def test_a_key_is_taken_once_however_often_its_due_time_was_set() -> None:
    store = parked("x", due_at=5)
    for _ in range(3):
        store.update(b"a", ParkedKey(status="retrying", first=0, next=1, since=1, due_at=5))
    assert store.take_due(9, 10) == [b"a"]
    assert store.next_due() is None


def test_a_due_time_that_was_changed_counts_no_more() -> None:
    store = parked("x", due_at=5)
    store.update(b"a", ParkedKey(status="retrying", first=0, next=1, since=1, due_at=50))
    assert (store.take_due(9, 10), store.next_due()) == ([], 50)


def test_keys_are_known_by_what_they_wait_for() -> None:
    store = parked("x")
    store.update(b"a", ParkedKey(status="paused", first=0, next=1, since=1, blocked_on="command/Script"))
    store.commit()
    assert restored(store).blocked_on("command/Script") == [b"a"]
    store.pop(b"a")
    assert store.blockers == []
    store.abort()
    assert store.blockers == ["command/Script"]


def test_keys_with_slashes_and_numbers_are_not_mistaken_for_each_other() -> None:
    store = parked("x")
    entry = ParkedKey(status="retrying", first=0, next=1, since=1)
    for key in (b"a/000000000000", b"a/", b"key/a"):
        store.park(key, entry, record_with_label(key.decode()))
    store.pop(b"a")
    store.commit()
    assert [labels(restored(store), key) for key in (b"a", b"a/000000000000", b"a/", b"key/a")] == [
        [], ["a/000000000000"], ["a/"], ["key/a"],
    ]  # fmt: skip


def test_what_became_of_a_dead_letter_is_remembered_for_a_while() -> None:
    store = ParkingStore("parked-changelog")
    for day in (0, 1, 20, 30):
        resolution = Resolution(how="redriven", operation_id="o", requested_by="ann", reason="r", at=day * DAY)
        store.set_resolution(b"a", ("t", 0, day), 0, resolution)
        store.mark_done(f"op-{day}", day * DAY)
        store.commit()
    fresh = restored(store)
    assert [fresh.resolution(b"a", ("t", 0, day), 0) is not None for day in (0, 1, 20, 30)] == [
        False,
        False,
        True,
        True,
    ]
    assert [fresh.was_done(f"op-{day}") for day in (0, 1, 20, 30)] == [False, False, True, True]


def test_each_redrive_of_a_record_has_a_mark_of_its_own() -> None:
    store = ParkingStore("parked-changelog")
    resolution = Resolution(how="redriven", operation_id="o", requested_by="ann", reason="r", at=1)
    store.set_resolution(b"a", ("t", 0, 7), 0, resolution)
    assert store.resolution(b"a", ("t", 0, 7), 1) is None
    assert store.resolution(b"a", ("t", 0, 8), 0) is None


def test_pauses_are_what_was_committed_last() -> None:
    store = ParkingStore("parked-changelog")
    pause = Pause(operation_id="o", requested_by="ann", reason="r", at=1)
    store.set_pause("command", "A", pause)
    store.commit()
    store.set_pause("command", "A", None)
    store.set_pause("service", "b", pause)
    assert store.pauses.keys() == {("service", "b")}
    store.abort()
    assert restored(store).pauses.keys() == {("command", "A")}


def test_a_fingerprint_is_made_once_a_record_and_anew_after_a_change_or_an_abort() -> None:
    store, made = parked("x", "y"), list[str]()

    def make(record: ParkedRecord) -> bytes:
        made.append((record.value or b"").decode())
        return record.value or b""

    def fingerprints() -> list[bytes]:
        return list(store.fingerprints(b"a", make))

    assert (fingerprints(), fingerprints(), made) == ([b"x", b"y"], [b"x", b"y"], ["x", "y"])
    store.append(b"a", record_with_label("z", 2))
    store.replace(b"a", 0, record_with_label("edited"))
    assert (fingerprints(), made[2:]) == ([b"edited", b"y", b"z"], ["edited", "z"])
    store.abort()
    assert fingerprints() == [b"x", b"y"]


@pytest.mark.parametrize(
    ("key", "place"),
    [
        (b"key/a/b/\n", KeyState(b"a/b/\n")),
        (b"record/a/b/\n/000000000007", RecordState(b"a/b/\n", 7)),
        (b"mark/shop.commands/1/-1/2/a/b/\n", ResolutionState(b"a/b/\n", ("shop.commands", 1, -1), 2)),
        (b"mark/x/y/1/1/2/a", None),
        (b"record/a", None),
        (b"later/a", None),
    ],
)
def test_the_keys_of_the_changelog_say_what_lies_there_or_nothing(
    key: bytes, place: KeyState | RecordState | ResolutionState | None
) -> None:
    """Operators may have named any place, and a later release may keep more than this one knows of."""
    assert describe_state_key(key) == place


def test_what_became_of_a_dead_letter_is_found_under_its_place() -> None:
    store, place = parked("a1"), ("shop.commands", 1, -1)
    store.set_resolution(
        b"a/b", place, 2, Resolution(how="redriven", at=1, operation_id="1", requested_by="", reason="")
    )
    assert ResolutionState(b"a/b", place, 2) in map(describe_state_key, store.batch)


def test_why_each_key_is_parked_is_told() -> None:
    store = parked("x")
    other = ParkedKey(status="paused", first=0, next=1, since=2, blocked_on="step pay")
    store.park(b"b", other, record_with_label("y"))
    assert sorted(store.entries(), key=lambda entry: entry.since) == [store.entry(b"a"), other]


@pytest.mark.parametrize(("at", "is_known"), [(14 * DAY - 1, True), (14 * DAY, False)])
def test_what_operators_had_done_is_known_for_two_weeks(at: int, *, is_known: bool) -> None:
    store = ParkingStore("parked-changelog")
    store.mark_done("one", 0)
    store.commit()
    store.mark_done("other", at)
    assert (store.was_done("one"), store.was_done("other")) == (is_known, True)
