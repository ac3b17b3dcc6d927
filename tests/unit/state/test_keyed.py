"""Keyed state: what stays decoded, and what a batch would change."""

from pathlib import Path

import pytest

from ensemble.errors import OversizedOutput, UnencodableMessage
from ensemble.messages.schema_set import SchemaSet
from ensemble.state.keyed import KeyedStore, StagedState
from ensemble.state.unit_of_work import RecordLayer
from ensemble.system_messages.state import SeenMessage, Timer

LARGE = Timer(due_at=1, payload="x" * 100_000, correlation_id="", trace="")
KEPT = 19
"""So many of them are kept decoded: 2 MB."""


def store() -> KeyedStore[SeenMessage]:
    return KeyedStore("shop.seen-changelog", [SeenMessage])


def test_a_full_cache_of_decoded_states_forgets_the_oldest_only() -> None:
    # given as many bytes of states as are kept decoded, and one more state
    full = timers()
    keys = [b"%d" % number for number in range(KEPT + 1)]
    for key in keys:
        full.restore(key, full.codec.encode(LARGE))

    # when each has been read once
    states = [full.get(key) for key in keys]

    # then all but the first are decoded still, and the first reads the same
    assert all(full.get(key) is state for key, state in zip(keys[1:], states[1:], strict=True))
    assert full.get(keys[0]) == states[0]
    assert full.get(keys[0]) is not states[0]


@pytest.mark.parametrize("last", [None, LARGE.model_copy(update={"payload": ""})], ids=["deleted", "made small"])
def test_a_decoded_state_that_is_gone_or_smaller_takes_no_room(last: Timer | None) -> None:
    # given a full cache, of which each state is written twice, and one then deleted or made small
    full = timers()
    for number in [*range(KEPT), *range(KEPT)]:
        write(full, b"%d" % number, LARGE)
    write(full, b"1", last)

    # when one more comes
    write(full, b"one more", LARGE)

    # then the oldest is kept, until there is another one
    assert full.get(b"0") is LARGE
    write(full, b"another", LARGE)
    assert full.get(b"0") is not LARGE


def timers() -> KeyedStore[Timer]:
    return KeyedStore("shop.timers-changelog", [Timer])


def write(store: KeyedStore[Timer], key: bytes, state: Timer | None) -> None:
    store.batch[key] = (state, store.codec.encode(state))
    store.commit()


def test_a_state_of_a_subclass_is_refused_in_words(tmp_path: Path) -> None:
    class Seen(SeenMessage, schemas=SchemaSet(tmp_path, "shop")):  # no schema of the runtime's own, to be written
        pass

    with pytest.raises(UnencodableMessage, match=r"Seen is no state of shop\.seen-changelog, which holds SeenMessage"):
        store().codec.encode(Seen(at=1))


def test_a_write_of_what_is_there_changes_nothing() -> None:
    # given a state
    same = store()
    raw = same.codec.encode(SeenMessage(at=1))
    same.restore(b"a", raw)

    # when the batch writes it again, writes another one, and deletes one that is not there
    same.batch[b"a"] = (SeenMessage(at=1), raw)
    same.batch[b"b"] = (SeenMessage(at=1), raw)
    same.batch[b"c"] = (None, None)

    # then only the other one would change
    assert same.is_dirty
    assert same.changed_keys() == [b"b"]


def test_a_record_sees_what_it_has_written_below_its_key_and_not_the_keys_above() -> None:
    # given a record of key `a/b`, and states on both sides of it
    committed = store()
    for key in (b"a", b"a/b/1"):
        committed.restore(key, committed.codec.encode(SeenMessage(at=1)))
    layer = RecordLayer()
    layer.begin(b"a/b", b"", "id", correlation_id="", trace="", time="", place=("", 0, 0))
    states = StagedState(committed, layer)

    # when it writes one below its key
    states.set("a/b/2", SeenMessage(at=2))

    # then it reads both below its key
    assert [key for key, _ in states.items("a/b")] == ["a/b/1", "a/b/2"]


def test_a_state_that_its_changelog_would_not_take_is_refused_when_it_is_set_and_changes_nothing() -> None:
    # given a changelog that takes a state of key `a`, and none of a longer key
    raw = store().codec.encode(SeenMessage(at=1)) or b""
    narrow = KeyedStore[SeenMessage]("shop.seen-changelog", [SeenMessage], limit=len(raw) + 1)
    layer = RecordLayer()
    layer.begin(b"a", b"", "id", correlation_id="", trace="", time="", place=("", 0, 0))
    states = StagedState(narrow, layer)
    states.set("a", SeenMessage(at=1))

    # when a record sets one of each, and its handler goes on
    with pytest.raises(OversizedOutput, match=f"takes {len(raw) + 3} bytes"):
        states.set("a/b", SeenMessage(at=2))
    layer.merge([])

    # then the first is all that it has written
    assert narrow.batch == {b"a": (SeenMessage(at=1), raw)}
    assert (states.get("a/b"), layer.staged) == (None, [])
