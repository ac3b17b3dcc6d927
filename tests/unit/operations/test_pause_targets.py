"""Pauses: who has to know of one, what is written to whom, and what is said of each partition's answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from ensemble.clock import moment_of
from ensemble.command_line.connection import session_on
from ensemble.kafka.client import ReceivedRecord, TopicPlace
from ensemble.messages import decoders_for, encoder_for
from ensemble.operations import Acknowledged, Actor, Intent, NotFound, Resolved, WorkPauses
from ensemble.operations.audit import PauseProgress, WorkPause
from ensemble.operations.wide_pauses import _summarize, command_names, step_names, wide_pause
from ensemble.system_messages import OperationDone, PauseWork, ResumeWork
from services.app import APP

INTENT = Intent(actor=Actor(name="ann", via="control-room"), reason="trial")


class Cluster:
    """Two partitions of each control topic. Services answer each command as `answers` says, by service."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.written, self.pending = answers, list[Any](), list[ReceivedRecord]()

    def topics(self) -> dict[str, int]:
        return {f"{service}.{kind}": 2 for service in APP.services for kind in ("control", "operations")}

    def places(self, topics: Collection[str]) -> list[TopicPlace]:
        return [(topic, partition) for topic in topics for partition in range(2)]

    def follow(self, places: Collection[TopicPlace], **_: object) -> Cluster:
        assert all(topic.endswith(".operations") for topic, _ in places)
        return self

    def read_to_end(self) -> list[ReceivedRecord]:
        records, self.pending = self.pending, []
        return records

    def close(self) -> None: ...

    def write_together(self, records: Sequence[Any]) -> None:
        self.written.append(records)
        for topic, value, _, _, partition in records:
            service = topic.removesuffix(".control")
            kind = PauseWork if value[:5] in decoders_for(PauseWork) else ResumeWork
            command = decoders_for(kind)[value[:5]](value)
            outcome, words = self.answers.get(service, ("done", ""))
            if outcome is not None:
                done = OperationDone(operation_id=command.operation_id, service=service, partition=partition,
                                     operation=kind.__name__, outcome=outcome, words=words, at=1)  # fmt: skip
                answer = encoder_for(OperationDone)(done)
                self.pending.append(ReceivedRecord(f"{service}.operations", partition, 0, 1, None, answer, {}, ()))


def pauses(cluster: Any) -> WorkPauses:
    return WorkPauses(session_on(cluster))


def outcomes(cluster: Any, plan: Any, timeout_s: float = 15) -> dict[str, tuple[str, bool, str]]:
    events = pauses(cluster).run(plan, INTENT, timeout_s).events()
    return {each.name: (each.outcome, each.is_good, each.detail) for each in events if isinstance(each, Resolved)}


@pytest.mark.parametrize(
    ("scope", "name", "services"),
    [
        ("step", "payment", ["orchestrator"]),
        ("command", "AttemptCharge", ["payment", "orchestrator"]),
        ("service", "shipping", ["shipping", "orchestrator"]),
        ("service", "orchestrator", ["orchestrator"]),
    ],
)
def test_the_owner_has_to_know_and_who_conducts(scope: Any, name: str, services: list[str]) -> None:
    told = wide_pause(APP, scope, name)
    assert (list(told.services), str(told)) == (services, f"{scope} {name}")


@pytest.mark.parametrize(
    ("scope", "hint", "field"),
    [
        ("step", f"steps are {', '.join(step_names(APP))}", "step"),
        ("command", f"types are {', '.join(command_names(APP))}", "command_type"),
        ("service", f"services are {', '.join(APP.services)}", "paused_service"),
    ],
)
def test_a_name_that_there_is_not_is_told_with_those_that_there_are(scope: Any, hint: str, field: str) -> None:
    with pytest.raises(NotFound) as missing:
        wide_pause(APP, scope, "nothing")
    assert (missing.value.hint, missing.value.field) == (hint, field)
    assert "'nothing'" in str(missing.value)
    assert (step_names(APP), "AttemptCharge" in command_names(APP)) == (["payment", "reservation", "shipment"], True)


def test_a_plan_names_each_partition_and_a_run_tells_all_of_them_together() -> None:
    cluster: Any = Cluster()
    plan = pauses(cluster).plan_start("service", "shipping")
    assert {item.name for item in plan.items} >= {"shipping[0]", "shipping[1]", "orchestrator[0]", "orchestrator[1]"}
    assert (plan.verb, plan.what) == ("start", "service shipping")
    assert outcomes(cluster, plan) == dict.fromkeys(plan.names, ("done", True, ""))
    [records] = cluster.written
    assert [(topic, partition) for topic, _, _, _, partition in records] == [
        (f"{item.service}.control", item.partition) for item in plan.items
    ]
    assert {key for _, _, key, _, _ in records} == {b"service/shipping"}
    _, value, _, headers, _ = records[0]
    command = decoders_for(PauseWork)[value[:5]](value)
    assert (command.scope, command.name, command.requested_by, command.reason) == (
        "service",
        "shipping",
        "ann",
        "trial",
    )
    assert command.operation_id == plan.derived_id(INTENT)
    assert dict(headers)["ce_source"] == b"/control-room"


def test_the_end_of_a_pause_is_another_command() -> None:
    cluster: Any = Cluster(shipping=("nothing_to_do", "it is not paused"))
    plan = pauses(cluster).plan_end("service", "shipping")
    assert plan.verb == "end"
    told = outcomes(cluster, plan)
    assert told["shipping[1]"] == ("nothing_to_do", True, "it is not paused")
    assert all(value[:5] in decoders_for(ResumeWork) for _, value, *_ in cluster.written[0])


def test_a_refusal_and_no_answer_in_time_are_no_success() -> None:
    cluster: Any = Cluster(shipping=("refused", "there is no such step"), orchestrator=(None, ""))
    told = outcomes(cluster, pauses(cluster).plan_start("service", "shipping"), timeout_s=0.01)
    assert told["shipping[0]"] == ("refused", False, "there is no such step")
    assert told["orchestrator[0]"] == ("no_answer", False, "")


def test_a_partition_has_read_the_command_once_it_has_answered() -> None:
    cluster: Any = Cluster(orchestrator=(None, ""))
    events = pauses(cluster).run(pauses(cluster).plan_start("service", "shipping"), INTENT, 0.01).events()
    heard = [each.name for each in events if isinstance(each, Acknowledged)]
    assert heard == ["shipping[0]", "shipping[1]"]


def progress(service: str, acknowledged: int) -> PauseProgress:
    return PauseProgress(service=service, partitions=1, acknowledged=acknowledged, pending=0)


@pytest.mark.parametrize(
    ("acknowledged", "everywhere"),
    [({"shipping": 2, "orchestrator": 2}, True), ({"shipping": 2, "orchestrator": 1}, False), ({"shipping": 2}, False)],
)
def test_a_pause_is_known_everywhere_once_all_partitions_of_all_that_have_to_know_it(
    acknowledged: dict[str, int], *, everywhere: bool
) -> None:
    services = tuple(progress(service, count) for service, count in acknowledged.items())
    summary = _summarize(APP, pause(services), {f"{service}.control": 2 for service in APP.services})
    assert (summary.everywhere, {each.partitions for each in summary.services}) == (everywhere, {2})


def pause(services: tuple[PauseProgress, ...], scope: Any = "service", name: str = "shipping") -> WorkPause:
    return WorkPause(scope=scope, name=name, since=moment_of(1), requested_by="ann", reason="", services=services)


def test_a_pause_of_what_the_application_has_no_longer_is_known_to_whoever_took_it() -> None:
    gone = pause((progress("old", 0),), "step", "gone")
    assert _summarize(APP, gone, {}).everywhere
    assert not _summarize(APP, gone, {"old.control": 1}).everywhere
