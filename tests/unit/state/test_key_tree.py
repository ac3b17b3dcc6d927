"""Keys below a key, as a plain search would find them."""

from hypothesis import given
from hypothesis import strategies as st

from ensemble.state.key_tree import KeyTree, is_below

PATHS = st.lists(st.sampled_from([b"a", b"b", b"ab", b""]), min_size=1, max_size=4).map(b"/".join)


@given(st.lists(st.tuples(st.booleans(), PATHS)), PATHS)
def test_it_finds_what_a_search_through_all_keys_would(steps: list[tuple[bool, bytes]], key: bytes) -> None:
    tree, keys = KeyTree([]), set[bytes]()
    for is_added, other in steps:
        (tree.add if is_added else tree.discard)(other)
        (keys.add if is_added else keys.discard)(other)
    assert tree.below(key) == {other for other in keys if is_below(other, key)}


def test_a_key_that_begins_alike_is_not_below() -> None:
    assert KeyTree([b"order-1/a", b"order-10/a"]).below(b"order-1") == {b"order-1/a"}


def test_a_name_between_two_slashes_may_be_empty() -> None:
    assert KeyTree([b"a//b"]).below(b"a/") == {b"a//b"}
