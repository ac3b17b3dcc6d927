"""What templates print: times in sentences, and text that only looks like one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.control_room.pages.rendering import show_moments


def test_a_time_in_a_sentence_is_one_that_the_browser_shows_in_the_viewer_s_zone() -> None:
    text = str(show_moments("Its policy paused it since 2026-11-27 09:32:31 UTC: <b>why</b>."))
    time = '<time datetime="2026-11-27T09:32:31.000Z">2026-11-27 09:32:31 UTC</time>'
    assert text == f"Its policy paused it since {time}: &lt;b&gt;why&lt;/b&gt;."


@pytest.mark.parametrize("hours", [-11, -1, 1, 11])
def test_a_time_of_day_is_the_one_nearest_to_now(hours: int) -> None:
    at = (datetime.now(UTC) + timedelta(hours=hours)).replace(microsecond=0)
    assert f'datetime="{at:%Y-%m-%dT%H:%M:%S}.000Z"' in show_moments(f"again at {at:%H:%M:%S} UTC")


@pytest.mark.parametrize(
    "text", ["at 99:99:99 UTC", "on 2026-13-45 10:00:00 UTC", "at 10:00:00", "\N{RIGHT-TO-LEFT OVERRIDE}"]
)
def test_what_is_no_time_stays_text(text: str) -> None:
    assert "<time" not in show_moments(text)
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in show_moments(text)
