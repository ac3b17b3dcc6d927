"""Where a group reads on, at each bound of what a log still holds, and what is said of records that are gone."""

from typing import Any

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from ensemble.errors import LostState
from ensemble.kafka.worker.log_bounds import CommittedOffsets
from tests.support.client_answers import answer, refuse

OWN, EXTERNAL = ("shop.commands", 0), ("shop.news", 1)


class Broker:
    """An admin client of logs that begin and end at the same offsets, and whose first record was written in 2025."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end, self.is_away, self.knows_times = start, end, False, True

    def list_offsets(self, specs: dict[Any, Any], **_: Any) -> dict[Any, Any]:
        return {place: self._answer(type(spec).__name__) for place, spec in specs.items()}

    def _answer(self, kind: str) -> Any:
        if self.is_away:
            return refuse(KafkaError._ALL_BROKERS_DOWN, "no broker")
        offset = {"EarliestSpec": self.start, "LatestSpec": self.end}.get(kind)
        return answer(offset=offset, timestamp=1_750_000_000_000 if offset is None and self.knows_times else -1)

    def list_topics(self, timeout: float) -> None:
        """Answer: a broker is there."""


def offsets_on(broker: Any) -> CommittedOffsets:
    return CommittedOffsets(broker, "shop", [EXTERNAL[0]])


REMOVED = "offsets 7 to {last} were removed before they were read; the log starts at {start}"
TRUNCATED = "the log was truncated or made anew: it ends at 6, before the committed offset 7"


@pytest.mark.parametrize(
    ("bounds", "read_on"),
    [((0, 20), 7), ((7, 20), 7), ((7, 7), 7), ((0, 7), 7), ((8, 8), 8)],
)
@pytest.mark.parametrize("place", [OWN, EXTERNAL])
def test_a_group_reads_on_where_it_was_or_behind_a_marker(
    place: tuple[str, int], bounds: tuple[int, int], read_on: int
) -> None:
    with capture_logs() as logs:
        assert offsets_on(Broker(*bounds)).read_from({place: 7}) == {place: read_on}
    reason = "the log was emptied, and behind the committed offset lay only a transaction's marker"
    fields = {"topic": place[0], "partition": place[1], "committed": 7, "offset": 8, "reason": reason}
    told = {"event": "offsets.advanced", "log_level": "warning", **fields}
    assert logs == ([told] if read_on == 8 else [])


@pytest.mark.parametrize(
    ("bounds", "loss"),
    [
        ((0, 6), TRUNCATED),
        ((8, 20), REMOVED.format(last=7, start=8)),
        ((9, 9), REMOVED.format(last=8, start=9)),
    ],
)
def test_records_that_are_gone_are_told_with_the_way_past_them(bounds: tuple[int, int], loss: str) -> None:
    broker = Broker(*bounds)
    with pytest.raises(LostState) as lost:
        offsets_on(broker).read_from({EXTERNAL: 7, OWN: 7})
    first = "with a record of 2025-06-15T15:06:40.000Z"
    assert str(lost.value) == (
        f"shop.commands[0]: {loss}, {first}; shop.news[1]: {loss}, {first}. That the committed offset is out of range "
        "means that records are gone. To go on without them, set the group's offsets, then start again: "
        "ensemble consumers set-offsets shop --topic shop.commands --to earliest; "
        "ensemble consumers set-offsets shop --topic shop.news --to earliest"
    )
    broker.knows_times = False
    with pytest.raises(LostState, match=rf"^shop\.news\[1\]: {loss}\. That the committed"):
        offsets_on(broker).read_from({EXTERNAL: 7})


def test_one_offset_behind_an_end_that_was_read_is_a_record_if_an_outsider_may_have_written_it() -> None:
    offsets = offsets_on(Broker(8, 8))
    assert offsets.read_from({OWN: 7}, {OWN, EXTERNAL}) == {OWN: 8}
    assert offsets.read_from({EXTERNAL: 7}, {OWN}) == {EXTERNAL: 8}
    with pytest.raises(LostState, match=r"^shop\.news\[1\]: offsets 7 to 7 were removed"):
        offsets.read_from({EXTERNAL: 7, OWN: 7}, {EXTERNAL})


def test_an_offset_that_the_broker_does_not_have_is_lost_unless_it_was_a_markers() -> None:
    assert offsets_on(Broker(8, 8)).read_after_error(OWN, 7) == 8
    with pytest.raises(LostState, match=r"^shop\.commands\[0\]: the broker has no offset 7, with a record of 2025"):
        offsets_on(Broker(0, 20)).read_after_error(OWN, 7)
    with pytest.raises(LostState, match=r"^shop\.news\[1\]: offsets 7 to 7 were removed"):
        offsets_on(Broker(8, 8)).read_after_error(EXTERNAL, 7)


def test_a_broker_that_is_away_changes_nothing() -> None:
    broker = Broker(0, 6)
    broker.is_away = True
    with capture_logs() as logs:
        assert offsets_on(broker).read_from({OWN: 7}) == {OWN: 7}
    assert [(line["event"], line["reason"]) for line in logs] == [("offsets.unchecked", "shop.commands[0]: no broker")]
