"""Recognises topics that were deleted and made again, or cut short, since a group committed its offsets.

A name says nothing about that. Kafka gives each topic an id of its own, and an offset is committed with a text beside
it: there a service writes the ids of what it reads and of what its state lies in. Releases that know nothing of the
text commit without it, and are then followed without a check.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

import structlog
from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from ensemble.engine.compiled import CompiledService
from ensemble.errors import LostState
from ensemble.kafka.errors import UNKNOWN_TOPIC
from ensemble.kafka.offset_metadata import MARK, Recorded, recorded_in
from ensemble.kafka.offsets import high_watermarks
from ensemble.program import command
from ensemble.service.topics import used_topics

log = structlog.get_logger()

_EVERY_S: Final = 5.0
_TIMEOUT_S: Final = 10.0
_NO_ID: Final = "AAAAAAAAAAAAAAAAAAAAAA"
"""What brokers before ids answer."""


class TopicIdentity:
    """Compares the topics of one service with what the group's offsets were committed for.

    All methods that compare raise LostState. A broker that does not answer is asked again, and ends nothing.
    """

    def __init__(
        self,
        admin: AdminClient,
        *,
        group: str,
        control: str,
        inputs: Iterable[str],
        state: Iterable[str],
        others: Iterable[str] = (),
    ) -> None:
        """Ask nothing yet. `inputs` has the control topic; `state` are changelogs and ledgers; `others` only exist."""
        self._admin, self._group, self._control = admin, group, control
        self._inputs, self._state = frozenset(inputs), sorted(state)
        self._names = self._inputs | set(self._state)
        self._others = frozenset(others)
        self.ids: dict[str, str] = {}
        """The id of each topic that the broker has told, or that was recorded."""
        self._recorded: dict[int, Recorded] = {}
        self._marked: set[int] = set()
        self._ends: dict[int, dict[str, int]] = {}
        self._texts: dict[int, str] = {}
        """The text beside the control topic's offset, by partition, while ids and ends are the same."""
        self._has_warned = False
        self._answers: Mapping[str, Future[Any]] | None = None
        self._next = 0.0

    @classmethod
    def of(cls, compiled: CompiledService, admin: AdminClient) -> TopicIdentity:
        """Return the identity of a service's topics."""
        service = compiled.service
        state = (topic.name for topic in (*service.changelogs, *service.ledgers))
        others = (topic.name for topic in used_topics(service))
        return cls(
            admin, group=service.name, control=service.control.name, inputs=compiled.inputs, state=state, others=others
        )

    def compare_committed(self, committed: Iterable[TopicPartition]) -> None:
        """Compare the topics with the texts beside these offsets, and with those that this process has met."""
        for place in committed:
            self._note(place.topic, place.partition, getattr(place, "metadata", None))
        self._compare_ids(self._collect(self._request(), _TIMEOUT_S))

    def compare_state(self, partitions: Iterable[int]) -> None:
        """Compare the ends of changelogs and ledgers, once all inputs of these partitions are assigned."""
        partitions = sorted(partitions)
        self._require_record(partitions)
        places = [(topic, partition) for topic in self._state for partition in partitions]
        try:
            ends = high_watermarks(self._admin, places, _TIMEOUT_S)
        except KafkaException as error:
            log.warning("state.unchecked", reason=error.args[0].str())
            return
        losses = [self._shortened(*place, end) for place, end in ends.items()]
        self._raise([loss for loss in losses if loss], [])
        for (topic, partition), end in ends.items():
            self._ends.setdefault(partition, {})[topic] = end
            self._texts.pop(partition, None)

    def sample(self) -> list[str]:
        """Compare now and then while the service runs, without waiting for the broker's answer.

        Returns the topics that the broker has just said not to know, of all that the service uses.
        """
        now = time.monotonic()
        if self._answers is not None and all(answer.done() for answer in self._answers.values()):
            answers, self._answers = self._answers, None
            self._compare_ids(self._collect(answers, 0))
            return [name for name, answer in answers.items() if _is_unknown(answer)]
        if self._answers is None and now >= self._next:
            self._next, self._answers = now + _EVERY_S, self._request()
        return []

    def metadata(self, topic: str, partition: int) -> str:
        """Return the text to commit beside an offset: none where the ids are not known, or take too much room."""
        text = self._texts.get(partition)
        if text is None:
            text = Recorded(self.ids, self._ends.get(partition, {})).text() if self.ids else ""
            self._texts[partition] = text
            self._warn_of_missing(text)
        return text if topic == self._control else MARK if text else ""

    # -- helpers --------------------------------------------------------------------------------------------------

    def _warn_of_missing(self, text: str) -> None:
        if self.ids and not text and not self._has_warned:
            self._has_warned = True
            log.warning(
                "topics.unrecorded",
                reason=f"the ids and names of {len(self.ids)} topics are too long to be kept beside an offset, so a "
                "topic that is deleted and made again while this service is stopped will not be recognised; give "
                "topics shorter names, or the service fewer of them",
            )

    def _note(self, topic: str, partition: int, metadata: str | None) -> None:
        if topic != self._control:
            self._marked |= {partition} if metadata == MARK else set()
        elif recorded := recorded_in(metadata):
            self._recorded[partition] = recorded
        else:
            self._recorded.pop(partition, None)

    def _request(self) -> Mapping[str, Future[Any]]:
        names = TopicCollection(sorted(self._names | self._others))
        answers: Mapping[str, Future[Any]] = self._admin.describe_topics(names, request_timeout=_TIMEOUT_S)
        return answers

    def _collect(self, answers: Mapping[str, Future[Any]], limit_s: float) -> dict[str, str]:
        ids = {name: _id_in(answer, limit_s) for name, answer in answers.items() if name in self._names}
        return {name: topic_id for name, topic_id in ids.items() if topic_id}

    def _compare_ids(self, ids: dict[str, str]) -> None:
        earlier = [*(recorded.ids for recorded in self._recorded.values()), self.ids]
        changed = sorted(name for name, now in ids.items() if any(part.get(name, now) != now for part in earlier))
        self._raise(
            [f"topic {name} was deleted and made again" for name in changed],
            [name for name in changed if name in self._inputs],
        )
        ids_before = {name: topic_id for part in earlier for name, topic_id in part.items() if name in self._names}
        if self.ids != ids_before | ids:
            self.ids = ids_before | ids
            self._texts.clear()

    def _shortened(self, topic: str, partition: int, end: int) -> str:
        recorded = self._recorded.get(partition)
        least = recorded.ends.get(topic, 0) if recorded else 0
        return f"{topic}[{partition}] ends at {end} and did end at {least}: it was cut short" if end < least else ""

    def _require_record(self, partitions: Iterable[int]) -> None:
        gone = [f"{self._control}[{p}]" for p in partitions if p in self._marked and p not in self._recorded]
        self._raise([f"the group's offsets of {place} are gone, with the ids beside them" for place in gone], [])

    def _raise(self, losses: list[str], inputs: list[str]) -> None:
        """Raise LostState if there are losses; those of `inputs` alone are passed by reading these topics anew."""
        if not losses:
            return
        only_inputs = len(inputs) == len(losses)
        commands = [f"--topic {name} --to earliest" for name in inputs] if only_inputs else ["--to current"]
        consequence = (
            "the group's offsets belong to records that are gone. To read the topics that are there now"
            if only_inputs
            else "the state that offsets belong to is gone. Bring the topics back; or, to go on with what is left"
        )
        raise LostState(
            f"{'; '.join(losses)} since group {self._group!r} committed its offsets, so {consequence}, set the "
            "group's offsets, then start again: "
            + "; ".join(command(f"consumers set-offsets {self._group} {flags}") for flags in commands)
        )


def _id_in(answer: Future[Any], limit_s: float) -> str:
    """Return a topic's id; "" if the broker does not say it, or does not know the topic."""
    try:
        topic_id = str(answer.result(limit_s).topic_id)
    except (KafkaException, TimeoutError) as error:
        log.debug("topic.unidentified", reason=str(error))
        return ""
    return "" if topic_id == _NO_ID else topic_id


def _is_unknown(answer: Future[Any]) -> bool:
    error = answer.exception(0)
    return isinstance(error, KafkaException) and error.args[0].code() in UNKNOWN_TOPIC
