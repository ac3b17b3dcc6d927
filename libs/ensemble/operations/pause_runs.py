"""Pauses of a saga's step, a command type or a service, started and ended in every partition that has to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from ensemble.operations.control_commands import AnswerListener, Ask, record_of
from ensemble.operations.intent import Intent
from ensemble.operations.plans import Plan, PlanItem
from ensemble.operations.rollout import Rollout
from ensemble.operations.runs import Run, Verdict
from ensemble.operations.service_topics import CONTROL
from ensemble.operations.session import Session
from ensemble.operations.wide_pauses import wide_pause
from ensemble.system_messages import PauseWork, ResumeWork, Scope

ANSWER_S = 15.0


class PauseItem(PlanItem):
    """One partition of a service that has to know of the pause, or of its end."""

    service: str
    partition: int


class PausePlan(Plan[PauseItem]):
    """Where a pause is started or ended. All partitions are told in one transaction."""

    verb: Literal["start", "end"]
    scope: Scope
    target: str

    @property
    def what(self) -> str:
        """The pause as the states of what it holds name it, such as `step payment`."""
        return f"{self.scope} {self.target}"


class WorkPauses:
    """Plans starts and ends of pauses, and runs plans. Any number of threads may use it at once."""

    def __init__(self, session: Session) -> None:
        """Take the cluster. `Audit.pauses` lists what is paused."""
        self._session = session

    def plan_start(self, scope: Scope, name: str) -> PausePlan:
        """Return which partitions would be told of the pause. Raises NotFound listing the names that there are."""
        return self._plan("start", scope, name)

    def plan_end(self, scope: Scope, name: str) -> PausePlan:
        """Return which partitions would be told of the pause's end, like `plan_start`."""
        return self._plan("end", scope, name)

    def run(self, plan: PausePlan, intent: Intent, timeout_s: float = ANSWER_S) -> Run[PauseItem]:
        """Return a run of the plan. A partition that has not answered in time takes the command when it reads it.

        Outcomes are `done`, `nothing_to_do`, `refused` (the detail says why) and `no_answer`.
        """
        rollout = Rollout(probe=0, wave=max(1, len(plan.items)), max_failed=1, timeout_s=timeout_s)
        return Run(plan, intent, rollout, partial(_open_target, self._session, plan, intent))

    def _plan(self, verb: Literal["start", "end"], scope: Scope, name: str) -> PausePlan:
        pause = wide_pause(self._session.application, scope, name)
        places = self._session.client.places([service + CONTROL for service in pause.services])
        return PausePlan(
            verb=verb,
            scope=scope,
            target=name,
            items=tuple(_item(topic.removesuffix(CONTROL), partition) for topic, partition in places),
            as_of=datetime.now(UTC),
        )


def _item(service: str, partition: int) -> PauseItem:
    return PauseItem(name=f"{service}[{partition}]", service=service, partition=partition)


@contextmanager
def _open_target(session: Session, plan: PausePlan, intent: Intent) -> Iterator[_PauseTarget]:
    with AnswerListener(session, sorted({item.service for item in plan.items})) as answers:
        yield _PauseTarget(session, plan, intent, answers)


class _PauseTarget:
    """The control topics of a plan's services, and their answers."""

    def __init__(self, session: Session, plan: PausePlan, intent: Intent, answers: AnswerListener) -> None:
        self._session, self._plan, self._intent, self._answers = session, plan, intent, answers

    def submit(self, items: Sequence[PauseItem]) -> None:
        kind = PauseWork if self._plan.verb == "start" else ResumeWork
        fields = {**self._intent.operation(), "operation_id": self._plan.derived_id(self._intent)}
        command = kind(scope=self._plan.scope, name=self._plan.target, **fields)
        key, via = f"{self._plan.scope}/{self._plan.target}".encode(), self._intent.actor.via
        self._session.client.write_together(
            [record_of(self._session, (item.service, item.partition), command, key, via=via) for item in items]
        )

    def look(self) -> None:
        self._answers.listen()

    def is_acknowledged(self, item: PauseItem) -> bool:
        return self._ask(item) in self._answers.done

    def verdict(self, item: PauseItem) -> Verdict | None:
        answer = self._answers.done.get(self._ask(item))
        return None if answer is None else Verdict(answer.outcome, answer.outcome != "refused", answer.words)

    def verdict_when_late(self, item: PauseItem) -> Verdict:  # noqa: ARG002  all partitions alike
        return Verdict("no_answer", is_good=False)

    def _ask(self, item: PauseItem) -> Ask:
        return item.service, item.partition, self._plan.derived_id(self._intent)
