"""Topics that were deleted and made again, or cut short, are recognised by what stands beside the offsets."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition
from structlog.testing import capture_logs

from ensemble.errors import LostState
from ensemble.kafka.offset_metadata import MARK, Recorded, recorded_in
from ensemble.kafka.worker.topic_identity import TopicIdentity

COMMANDS, CONTROL, CHANGELOG, EVENTS = "shop.commands", "shop.control", "shop.account-changelog", "shop.events"


class Cluster:
    """An admin client of a cluster with these topics; `make_again` is what a deletion and a new start leave."""

    def __init__(self) -> None:
        self.ids = {COMMANDS: "first", CONTROL: "second", CHANGELOG: "third"}
        self.changelog_end, self.is_silent = 10, False
        self.gone = set[str]()

    def make_again(self, topic: str) -> None:
        self.ids[topic] = "another"

    def describe_topics(self, _: Any, **__: Any) -> dict[str, Future[Any]]:
        ids = {EVENTS: "of no interest", **self.ids}
        return {name: self._unknown() if name in self.gone else self._answer(topic_id=ids[name]) for name in ids}

    def list_offsets(self, specs: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[Any]]:
        return {place: self._answer(offset=self.changelog_end) for place in specs}

    def _unknown(self) -> Future[Any]:
        answer: Future[Any] = Future()
        answer.set_exception(KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)))
        return answer

    def _answer(self, **fields: object) -> Future[Any]:
        answer: Future[Any] = Future()
        if self.is_silent:
            answer.set_exception(KafkaException(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE)))
        else:
            answer.set_result(SimpleNamespace(**fields))
        return answer


def process(cluster: Any) -> TopicIdentity:
    """What a process that starts anew knows."""
    inputs = cluster.ids.keys() - {CHANGELOG, EVENTS}
    return TopicIdentity(
        cluster, group="shop", control=CONTROL, inputs=inputs, state=[CHANGELOG], others=[COMMANDS, EVENTS]
    )


def start(cluster: Cluster, offsets: list[TopicPartition]) -> TopicIdentity:
    identity = process(cluster)
    identity.compare_committed(offsets)
    identity.compare_state([0])
    return identity


def first_start(cluster: Cluster) -> tuple[TopicIdentity, list[TopicPartition]]:
    """Return the identity of a first process, and the offsets that it commits."""
    identity = start(cluster, [TopicPartition(topic, 0, OFFSET_INVALID) for topic in (COMMANDS, CONTROL)])
    return identity, [TopicPartition(topic, 0, 5, identity.metadata(topic, 0)) for topic in (COMMANDS, CONTROL)]


def test_the_next_process_goes_on_where_nothing_has_changed() -> None:
    cluster = Cluster()
    _, offsets = first_start(cluster)
    start(cluster, offsets)
    assert recorded_in(offsets[1].metadata) == Recorded(cluster.ids, {CHANGELOG: 10})
    assert offsets[0].metadata == MARK


def test_an_input_made_again_is_recognised_by_the_next_process() -> None:
    cluster = Cluster()
    _, offsets = first_start(cluster)
    cluster.make_again(COMMANDS)
    with pytest.raises(LostState, match=f"topic {COMMANDS} was deleted and made again") as lost:
        start(cluster, offsets)
    assert f"ensemble consumers set-offsets shop --topic {COMMANDS} --to earliest" in str(lost.value)


def test_an_input_made_again_is_recognised_by_the_process_that_runs() -> None:
    cluster = Cluster()
    identity, _ = first_start(cluster)
    cluster.make_again(COMMANDS)
    identity.sample()
    with pytest.raises(LostState, match=COMMANDS):
        identity.sample()


@pytest.mark.parametrize("topic", [COMMANDS, CHANGELOG, EVENTS])
def test_a_topic_that_is_gone_is_told_once_for_each_answer(topic: str) -> None:
    cluster = Cluster()
    identity, _ = first_start(cluster)
    cluster.gone.add(topic)
    assert [identity.sample(), identity.sample(), identity.sample()] == [[], [topic], []]


def test_a_broker_that_is_silent_says_of_no_topic_that_it_is_gone() -> None:
    cluster = Cluster()
    identity, _ = first_start(cluster)
    cluster.is_silent = True
    assert [identity.sample(), identity.sample()] == [[], []]


def test_a_changelog_made_again_is_recognised() -> None:
    """It is empty, and would be taken for the state of a service that has done nothing yet."""
    cluster = Cluster()
    _, offsets = first_start(cluster)
    cluster.make_again(CHANGELOG)
    with pytest.raises(LostState, match=f"topic {CHANGELOG} was deleted.*set-offsets shop --to current"):
        start(cluster, offsets)


def test_a_changelog_that_was_cut_short_is_recognised() -> None:
    cluster = Cluster()
    _, offsets = first_start(cluster)
    cluster.changelog_end = 9
    with pytest.raises(LostState, match=r"account-changelog\[0\] ends at 9 and did end at 10"):
        start(cluster, offsets)


def test_a_control_topic_that_went_with_the_ids_is_recognised() -> None:
    """Kafka forgets a group's offsets of a topic that is deleted; the marks beside the others stay."""
    cluster = Cluster()
    _, (commands, _) = first_start(cluster)
    with pytest.raises(LostState, match=r"offsets of shop.control\[0\] are gone"):
        start(cluster, [commands, TopicPartition(CONTROL, 0, OFFSET_INVALID)])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "of another tool",
        '{"ids": 3}',
        "[" * 4000,
        '{"ids": {}, "ends": {"x": "y"}}',
        '{"ids": {}, "ends": {"x": Infinity}}',
    ],
)
def test_offsets_of_an_earlier_release_are_followed_and_get_the_ids(text: str) -> None:
    cluster = Cluster()
    identity = start(cluster, [TopicPartition(topic, 0, 5, text) for topic in (COMMANDS, CONTROL)])
    assert recorded_in(identity.metadata(CONTROL, 0)) == Recorded(cluster.ids, {CHANGELOG: 10})


def test_a_topic_that_is_new_to_a_release_changes_nothing() -> None:
    cluster = Cluster()
    _, (commands, control) = first_start(cluster)
    recorded = recorded_in(control.metadata)
    assert recorded is not None
    start(cluster, [commands, TopicPartition(CONTROL, 0, 5, recorded.without([CHANGELOG]).text())])


def test_a_broker_that_does_not_answer_ends_nothing() -> None:
    cluster = Cluster()
    _, offsets = first_start(cluster)
    cluster.is_silent = True
    identity = start(cluster, offsets)
    assert identity.metadata(COMMANDS, 0) == MARK, "what was recorded is committed again"
    cluster.is_silent = False
    cluster.make_again(COMMANDS)
    identity.sample()
    with pytest.raises(LostState, match=COMMANDS):
        identity.sample()


def test_a_text_that_the_broker_would_not_take_is_left_out() -> None:
    assert Recorded({f"topic-{number}": "i" * 22 for number in range(200)}, {}).text() == ""


def test_a_service_of_too_many_topics_is_followed_without_ids_and_says_so() -> None:
    cluster = Cluster()
    cluster.ids |= {f"shop.topic-number-{number}": "i" * 22 for number in range(200)}
    with capture_logs() as logs:
        identity, offsets = first_start(cluster)
        identity.compare_state([0])
        identity.metadata(CONTROL, 0)
    assert [line["event"] for line in logs] == ["topics.unrecorded"], "it is told once"
    assert "203 topics are too long" in logs[0]["reason"]
    assert [place.metadata for place in offsets] == ["", ""]
    assert start(cluster, offsets).ids == identity.ids


def test_of_ids_that_are_kept_nothing_is_told() -> None:
    with capture_logs() as logs:
        identity, _ = first_start(Cluster())
        assert identity.metadata(CONTROL, 0) != ""
        assert identity.metadata(COMMANDS, 0) == MARK
        assert process(Cluster()).metadata(CONTROL, 0) == ""
    assert logs == []


READ_ANEW = (
    "so the group's offsets belong to records that are gone. To read the topics that are there now, set the group's "
    "offsets, then start again: "
)
GO_ON = (
    "so the state that offsets belong to is gone. Bring the topics back; or, to go on with what is left, set the "
    "group's offsets, then start again: ensemble consumers set-offsets shop --to current"
)


@pytest.mark.parametrize(
    ("made_again", "changelog_end", "words"),
    [
        (
            [COMMANDS, CONTROL],
            10,
            (
                "topic shop.commands was deleted and made again; topic shop.control was deleted and made again since "
                f"group 'shop' committed its offsets, {READ_ANEW}ensemble consumers set-offsets shop --topic "
                "shop.commands --to earliest; ensemble consumers set-offsets shop --topic shop.control --to earliest"
            ),
        ),
        (
            [CHANGELOG, COMMANDS],
            10,
            (
                "topic shop.account-changelog was deleted and made again; topic shop.commands was deleted and made "
                f"again since group 'shop' committed its offsets, {GO_ON}"
            ),
        ),
        (
            [],
            9,
            (
                "shop.account-changelog[0] ends at 9 and did end at 10: it was cut short since group 'shop' committed "
                f"its offsets, {GO_ON}"
            ),
        ),
    ],
)
def test_what_is_lost_is_told_with_the_way_to_go_on(made_again: list[str], changelog_end: int, words: str) -> None:
    cluster = Cluster()
    _, offsets = first_start(cluster)
    cluster.changelog_end = changelog_end
    for topic in made_again:
        cluster.make_again(topic)
    with pytest.raises(LostState) as lost:
        start(cluster, offsets)
    assert str(lost.value) == words


def test_what_a_text_says_is_read_again_without_the_topics_that_went() -> None:
    recorded = Recorded({"a": "1", "b": "2"}, {"a": 7, "c": 8})
    assert recorded.text() == '{"ids":{"a":"1","b":"2"},"ends":{"a":7,"c":8}}'
    assert recorded_in(recorded.text()) == recorded
    assert recorded.without(["a"]) == Recorded({"b": "2"}, {"c": 8})
    assert recorded_in(None) is None


@pytest.mark.parametrize(("length", "fits"), [(4_000, True), (4_001, False)])
def test_a_text_is_as_long_as_brokers_take_it(length: int, *, fits: bool) -> None:
    empty = len(Recorded({"a": ""}, {}).text())
    assert bool(Recorded({"a": "i" * (length - empty)}, {}).text()) is fits


def test_brokers_that_know_no_ids_are_believed_nothing() -> None:
    cluster = Cluster()
    cluster.ids = dict.fromkeys(cluster.ids, "AAAAAAAAAAAAAAAAAAAAAA")
    identity, offsets = first_start(cluster)
    assert (identity.ids, [place.metadata for place in offsets]) == ({}, ["", ""])
