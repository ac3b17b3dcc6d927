"""Pages, the API and what both write to Kafka, as a whole, beside what was kept of them.

`python -m tests.component.control_room.test_whole_answers` keeps them anew, for an intended change.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.component.control_room.answer_record import AGO_S, AnswerRecord
from tests.component.control_room.answer_stories import STORIES
from tests.component.control_room.conftest import open_room

KEPT = Path(__file__).with_name("answers")
Story = Callable[[AnswerRecord], None]


def answers_of(story: Story) -> str:
    with capture_logs(), open_room(AGO_S, **getattr(story, "settings", {})) as room:
        record = AnswerRecord(room)
        story(record)
        return str(record)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_whole_answers_are_those_that_were_kept(story: Story) -> None:
    assert answers_of(story) == (KEPT / f"{story.__name__}.txt").read_text(encoding="utf-8")


def test_nothing_else_is_kept() -> None:
    assert {path.name for path in KEPT.iterdir()} == {f"{story.__name__}.txt" for story in STORIES}


if __name__ == "__main__":
    KEPT.mkdir(exist_ok=True)
    names = sys.argv[1:]
    for each in STORIES:
        if not names or each.__name__ in names:
            (KEPT / f"{each.__name__}.txt").write_text(answers_of(each), encoding="utf-8")
