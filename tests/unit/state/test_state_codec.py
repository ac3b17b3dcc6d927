"""Values of a changelog as states: what cannot be read is named."""

from __future__ import annotations

import pytest

from ensemble import State
from ensemble.errors import UnreadableState
from ensemble.messages import Int32
from ensemble.state.state_codec import StateCodec


class Glass(State):
    drinks: Int32


def test_a_damaged_state_is_named_with_its_changelog_and_key() -> None:
    codec = StateCodec("bar.glasses", [Glass])
    whole = codec.encode(Glass(drinks=300)) or b""
    with pytest.raises(UnreadableState, match=r"^changelog bar\.glasses, key 'k': .*Glass: drinks cannot"):
        codec.decode(b"k", whole[:-1])
    assert codec.decode(b"k", whole) == Glass(drinks=300)
