"""What a consumer cannot read is told at once, waited out for a while, and then ends the process in words."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from ensemble.errors import FatalError
from ensemble.kafka.worker.fetch_problems import MISSING_LIMIT_S, STUCK_LIMIT_S, FetchProblems, find_topics

PLACE = ("shop.commands", 1)
DAMAGED = KafkaError(KafkaError._BAD_COMPRESSION, "cannot be decompressed")
UNKNOWN = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "unknown topic")


class Watch:
    """Problems on a clock that a test sets, and the topics that the brokers know."""

    def __init__(self) -> None:
        self.now, self.topics, self.looks = 0.0, set[str](), 0
        self.is_away = False
        self.problems = FetchProblems(self._find, lambda: self.now)

    def poll(self, until: float, error: KafkaError | None = None) -> None:
        """Poll each second until then; each poll meets the error."""
        while self.now < until:
            self.now += 1
            if error is not None:
                self.problems.note(PLACE, 7, error)
            self.problems.check()

    def _find(self, topics: Collection[str]) -> set[str] | None:
        self.looks += 1
        return None if self.is_away else self.topics.intersection(topics)


def test_an_offset_that_cannot_be_read_is_told_and_then_ends_the_process_with_its_place() -> None:
    """A record that decompresses to more than the client takes: it asked for it for ever, and looked healthy."""
    watch = Watch()
    watch.poll(STUCK_LIMIT_S - 1, DAMAGED)
    assert watch.problems.describe() == "shop.commands[1] cannot be read at offset 7 for 28 s: cannot be decompressed"
    with pytest.raises(FatalError, match=r"shop\.commands\[1\] cannot be read at offset 7 .*`ensemble records skip`"):
        watch.poll(STUCK_LIMIT_S + 2, DAMAGED)


def test_an_offset_that_is_read_after_all_is_forgotten() -> None:
    watch = Watch()
    watch.poll(STUCK_LIMIT_S - 1, DAMAGED)
    watch.problems.clear(PLACE)
    watch.poll(2 * STUCK_LIMIT_S - 2, DAMAGED)
    assert watch.problems.has_any


def test_a_partition_that_went_to_another_member_is_forgotten() -> None:
    watch = Watch()
    watch.poll(STUCK_LIMIT_S - 1, DAMAGED)
    watch.poll(3 * STUCK_LIMIT_S)
    assert watch.problems.describe() == ""


def test_the_longest_of_several_problems_counts_from_its_begin() -> None:
    watch = Watch()
    assert watch.problems.longest_s == 0
    watch.problems.note(PLACE, 7, DAMAGED)
    watch.now = 4
    watch.problems.note(("shop.commands", 2), 9, DAMAGED)
    watch.now = 6
    assert watch.problems.longest_s == 6
    watch.problems.clear(PLACE)
    assert watch.problems.longest_s == 2


def test_a_topic_that_a_restarting_broker_denies_is_waited_for() -> None:
    watch = Watch()
    watch.problems.note(PLACE, None, UNKNOWN)
    watch.problems.miss(["shop.events", "shop.commands"])
    watch.topics.add("shop.events")
    watch.poll(20)
    assert watch.problems.describe() == "no broker knows topic shop.commands for 20 s"
    assert watch.looks <= 5, "the brokers are asked now and then"
    watch.topics.add("shop.commands")
    watch.poll(3 * MISSING_LIMIT_S)
    assert watch.problems.describe() == ""


def test_a_topic_that_stays_unknown_ends_the_process() -> None:
    watch = Watch()
    watch.problems.note(PLACE, None, UNKNOWN)
    with pytest.raises(FatalError, match=r"no broker has known topic shop\.commands for 60 s.*topics apply"):
        watch.poll(2 * MISSING_LIMIT_S)


def test_brokers_that_are_away_for_long_deny_no_topic() -> None:
    """A restarting broker denied a topic once, then an outage of a minute ended each process as if it were deleted."""
    # given
    watch = Watch()
    watch.problems.note(PLACE, None, UNKNOWN)

    # when
    watch.is_away = True
    watch.poll(3 * MISSING_LIMIT_S)
    watch.is_away = False

    # then
    assert watch.problems.longest_s < 10
    with pytest.raises(FatalError, match=r"no broker has known topic shop\.commands for 60 s"):
        watch.poll(5 * MISSING_LIMIT_S)


def test_a_topic_that_is_only_written_and_is_gone_is_told_like_an_input() -> None:
    """Its service looked healthy until it wrote there, and then named neither the topic nor what to do."""
    watch = Watch()
    watch.problems.miss(["shop.events"])
    watch.poll(20)
    watch.problems.miss(["shop.events"])
    assert watch.problems.describe() == "no broker knows topic shop.events for 20 s"
    assert watch.problems.longest_s == 20
    with pytest.raises(FatalError, match=r"no broker has known topic shop\.events for 60 s.*topics apply"):
        watch.poll(MISSING_LIMIT_S + 5)


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._TIMED_OUT])
def test_trouble_of_a_rolling_restart_is_waited_out(code: int) -> None:
    watch = Watch()
    watch.poll(10 * STUCK_LIMIT_S, KafkaError(code, "passing"))
    assert not watch.problems.has_any


def test_why_the_group_does_not_let_a_process_in_is_known_for_a_while() -> None:
    """A stranger in its group kept a service out for ever, which said `no partitions assigned yet`."""
    watch = Watch()
    watch.problems.note(("", 0), None, KafkaError(KafkaError.INCONSISTENT_GROUP_PROTOCOL, "JoinGroup failed"))
    assert watch.problems.why_not_joined().startswith("JoinGroup failed: another consumer, which is no process of")
    assert watch.problems.describe() == "", "a process that works is ready all the same"
    watch.poll(10)
    assert watch.problems.why_not_joined() == ""


def test_a_topic_that_cannot_be_fetched_for_a_moment_is_no_reason_of_the_group() -> None:
    watch = Watch()
    watch.problems.note(PLACE, None, KafkaError(KafkaError._TRANSPORT, "gone"))
    assert watch.problems.why_not_joined() == ""


def test_brokers_are_asked_for_all_topics_at_once() -> None:
    """Each was asked for by itself, for two seconds where nobody answers: the loop stood still for half a minute."""
    known = {"a": SimpleNamespace(error=None), "b": SimpleNamespace(error=UNKNOWN), "d": SimpleNamespace(error=None)}
    cluster: Any = SimpleNamespace(list_topics=lambda timeout: SimpleNamespace(topics=known))
    assert find_topics(cluster, ["a", "b", "c"]) == {"a"}

    def answer_nothing(timeout: float) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    cluster.list_topics = answer_nothing
    assert find_topics(cluster, ["a", "b", "c"]) is None


def test_what_cannot_be_read_is_logged_once_and_ends_with_the_way_past_it() -> None:
    watch = Watch()
    with capture_logs() as logs, pytest.raises(FatalError) as fatal:
        watch.poll(STUCK_LIMIT_S + 2, DAMAGED)
    assert str(fatal.value) == (
        "shop.commands[1] cannot be read at offset 7 for 30 s: cannot be decompressed. The record there is damaged, or "
        "becomes too large when it is decompressed; only skipping it goes past it: `ensemble records skip`, topic "
        "shop.commands, partition 1, offset 7"
    )
    stuck = {"topic": "shop.commands", "partition": 1, "offset": 7, "reason": "cannot be decompressed"}
    assert logs == [{"event": "consumer.stuck", "log_level": "warning", **stuck}]
    assert watch.now == STUCK_LIMIT_S + 1


@pytest.mark.parametrize(("pause_s", "is_forgotten"), [(9.9, False), (10.0, True)])
def test_a_problem_that_is_met_no_more_is_forgotten_after_ten_seconds(pause_s: float, *, is_forgotten: bool) -> None:
    watch = Watch()
    watch.problems.note(PLACE, 0, DAMAGED)
    watch.now += pause_s
    watch.problems.check()
    assert watch.problems.has_any is not is_forgotten


def test_who_fails_at_another_offset_is_waited_for_anew() -> None:
    watch = Watch()
    watch.problems.note(PLACE, 7, DAMAGED)
    watch.now += 5
    watch.problems.note(PLACE, 8, DAMAGED)
    watch.now += 1
    watch.problems.note(PLACE, 8, KafkaError(KafkaError._BAD_COMPRESSION, "in other words"))
    assert watch.problems.describe() == "shop.commands[1] cannot be read at offset 8 for 1 s: cannot be decompressed"
    assert watch.problems.longest_s == 1


def test_a_topic_that_no_broker_knows_is_told_found_and_lost_in_words() -> None:
    watch = Watch()
    with capture_logs() as logs:
        watch.problems.miss(["shop.news", "shop.news"])
        watch.topics.add("shop.news")
        watch.problems.check()
    assert [(line["event"], line["topic"], line.get("reason")) for line in logs] == [
        ("topic.missing", "shop.news", "no broker knows it; waiting, 60 s"),
        ("topic.found", "shop.news", None),
    ]
    watch.topics.clear()
    watch.problems.miss(["shop.news"])
    with pytest.raises(FatalError) as fatal:
        watch.poll(2 * MISSING_LIMIT_S)
    assert str(fatal.value) == (
        "no broker has known topic shop.news for 60 s. If it was deleted, its records are gone; `ensemble topics "
        "apply` creates it again"
    )
    assert watch.now == MISSING_LIMIT_S
