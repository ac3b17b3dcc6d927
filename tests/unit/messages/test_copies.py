"""Copies of messages with other values: pydantic's, checked; those of a saga's progress are made faster."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, PrivateAttr

from contracts import OrderState
from ensemble.messages import NestedRecord
from tests.support.order_messages import order_placed


class Noted(NestedRecord):
    size: int
    tags: tuple[str, ...] = ()
    _notes: list[str] = PrivateAttr(default_factory=list)


@pytest.mark.parametrize("model", [OrderState(order_id="o-1"), order_placed(), Noted(size=3)])
@pytest.mark.parametrize("changes", [None, {}, {"size": 7}, {"order_id": "o-2", "tags": ("a",)}])
def test_a_copy_is_what_pydantic_makes(model: NestedRecord, changes: dict[str, Any] | None) -> None:
    changes = changes and {name: value for name, value in changes.items() if name in type(model).model_fields}
    ours, theirs = model.model_copy(update=changes), BaseModel.model_copy(model, update=changes)
    assert (ours, ours.model_fields_set, type(ours)) == (theirs, theirs.model_fields_set, type(theirs))


def test_a_copy_leaves_its_original_alone() -> None:
    state = OrderState(order_id="o-1")
    copy = state.model_copy(update={"status": "completed"})
    assert (state.status, copy.status) == ("placeholder", "completed")
    assert state.model_fields_set == {"order_id"}


def test_a_deep_copy_shares_nothing_that_changes_and_keeps_what_is_private() -> None:
    noted = Noted(size=3)
    noted._notes.append("first")
    copy = noted.model_copy(deep=True)
    copy._notes.append("second")
    assert noted._notes == ["first"]
