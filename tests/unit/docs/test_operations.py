"""The tables of the pages for operators tell what the catalogue, the metrics and the drills say."""

from __future__ import annotations

import re
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from ensemble.observability.metrics import LoopMetrics
from ensemble.operations import required_topics
from ensemble.service.catalogue import Topic
from ensemble.state.parking import KEEP_DONE_MS
from services.app import APP, SERVICES
from services.orchestrator.policies import DEFAULT_POLICIES
from tests.drills.__main__ import DRILLS
from tests.support.lifetimes_table import lifetimes_shown, lifetimes_table

DOCS = Path(__file__).parents[3] / "docs"
OPERATIONS, METRICS, RETENTION = (
    (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("operations", "metrics", "retention")
)
KEPT = {
    pattern: row[2]
    for row in re.findall(r"^\| (`[^|]+`) \| ([^|]+) \| (7 days|forever|latest per key) \|$", RETENTION, re.MULTILINE)
    for pattern in re.findall(r"`([^`]+)`", row[0])
}


def retention_of(topic: Topic) -> str:
    if topic.cleanup == "compact":
        return "latest per key"
    return f"{topic.retention.days} days" if topic.retention else "forever"


def test_every_topic_is_in_the_table_as_it_is_made() -> None:
    for topic in required_topics(APP):
        assert {KEPT[pattern] for pattern in KEPT if fnmatchcase(topic.name, pattern)} == {retention_of(topic)}, (
            topic.name
        )


def test_what_comes_late_finds_what_it_is_about() -> None:
    by_name = {
        topic.name: topic.retention or timedelta.max for topic in required_topics(APP) if topic.cleanup == "delete"
    }
    inputs = [topic.retention for topic in SERVICES["orchestrator"]().inputs if topic.retention]
    dead_letters = [keep for name, keep in by_name.items() if name.endswith(".dead-letter")]
    assert timedelta(seconds=DEFAULT_POLICIES.stub_s) >= max(inputs)
    assert min(dead_letters) >= max(inputs)
    assert timedelta(milliseconds=KEEP_DONE_MS) > max(dead_letters)
    assert f"| {DEFAULT_POLICIES.stub_s / 86_400:g} days |" in RETENTION
    assert f"| {KEEP_DONE_MS / 86_400_000:g} days |" in RETENTION


def test_the_table_of_lifetimes_is_today_s() -> None:
    assert lifetimes_shown() == lifetimes_table(), "run `make lifetimes`"


def test_every_metric_is_in_the_table() -> None:
    names = [metric.name for metric in LoopMetrics("payment").registry.collect()]
    assert [name for name in names if not re.search(rf"^\| `{name}(_total)?` \|", METRICS, re.MULTILINE)] == []


def test_every_drill_is_told_of() -> None:
    assert [name for name in DRILLS if f"| `make drill-{name}` | {DRILLS[name].shows}" not in OPERATIONS] == []
