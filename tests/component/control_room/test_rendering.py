"""What templates print: times in sentences, and text that only looks like one."""

from __future__ import annotations

import pytest

from services.control_room.pages.rendering import show_moments

NOON = 1_750_000_000_000
SINCE = "2025-06-15 15:06:40 UTC"


@pytest.mark.parametrize("text", [SINCE, "15:06:40 UTC"])
def test_a_time_in_a_sentence_is_one_that_the_browser_shows_in_the_viewer_s_zone(text: str) -> None:
    shown = str(show_moments(f"Its policy paused it since {text}: <b>why</b>.", {text: NOON}))
    time = f'<time datetime="2025-06-15T15:06:40.000Z">{SINCE}</time>'
    assert shown == f"Its policy paused it since {time}: &lt;b&gt;why&lt;/b&gt;."


def test_what_others_wrote_is_no_time_however_it_looks() -> None:
    shown = show_moments("Its policy paused it since 15:06:40 UTC: from 10:00:00 UTC on.", {"15:06:40 UTC": NOON})
    assert shown.count("<time") == 1
    assert "from 10:00:00 UTC on" in shown


def test_a_number_that_is_no_time_stays_text() -> None:
    assert show_moments("again at -5 ms UTC", {"-5 ms UTC": -5}) == "again at -5 ms UTC"


def test_a_sentence_without_times_is_made_visible() -> None:
    assert show_moments("It is \N{RIGHT-TO-LEFT OVERRIDE}<b>completed", {}) == "It is \\u202e&lt;b&gt;completed"
