"""What pages and API answer from: one session, one view, and whoever brings it up to date."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Self

from fastapi import Depends, Request

from backoffice import MESSAGE_TOPICS
from backoffice.declared_rest import Declarations
from backoffice.order_placement import OrderPlacement
from backoffice.orders import Orders, OrdersProjection
from backoffice.stock import Stock, StockProjection
from ensemble.operations import (
    AuditProjection,
    ControlFlow,
    Endpoints,
    FailuresProjection,
    Rehearse,
    Samples,
    Session,
    TrafficProjection,
    now,
    rehearse,
)
from ensemble.operations.view import Projection, View, file_of_cluster
from ensemble.topology import Graph, flow_of
from services.control_room.access import Access
from services.control_room.actions import Actions
from services.control_room.broker_facts import BrokerFacts
from services.control_room.change_events import ChangeEvents
from services.control_room.demonstration import Demonstration
from services.control_room.idempotency import IdempotentRequests
from services.control_room.live_events import LiveEvent, LiveEvents, reset_event
from services.control_room.planner import Planner
from services.control_room.repetition import Repetition
from services.control_room.run_history import RunHistory
from services.control_room.settings import ControlRoomSettings
from services.control_room.view_updates import ViewUpdates

_SAMPLE_EVERY_S: Final = 5.0
_UNWATCHED_S: Final = 1.0
"""How often the view is brought up to date while nobody looks or waits: each time costs the brokers, too."""
VIA: Final = "control-room"
"""The program's name, in the audit and in the source of its messages."""


@dataclass(frozen=True)
class ControlRoom:
    """The operators' library, as the control room uses it."""

    session: Session
    settings: ControlRoomSettings
    view: View
    updates: ViewUpdates
    live: LiveEvents
    access: Access
    requests: IdempotentRequests
    placement: OrderPlacement
    actions: Actions
    samples: Samples
    sampling: Repetition
    history: RunHistory
    brokers: BrokerFacts
    """What only the brokers know."""
    demonstration: Demonstration | None = None
    """The launcher of a demonstration, if that is what runs this."""
    directory: Path | None = None
    """Where its files lie; None: in memory."""
    endpoints: Endpoints = field(default_factory=Endpoints)
    """Where the processes of services say how they are."""

    @classmethod
    def open(
        cls,
        session: Session,
        settings: ControlRoomSettings,
        directory: Path | None = None,
        *,
        rehearse: Rehearse = rehearse,
        endpoints: Endpoints | None = None,
    ) -> Self:
        """Open its files in a directory, or in memory; nothing is read before `updates` is started, or told to update.

        Redrives are rehearsed by `rehearse`; `endpoints` says where processes of services tell what they have counted.
        Raises Unreachable if a file cannot be used, and ConfigurationError if it would be open to other machines.
        """
        access = Access(settings)
        cluster_id = session.client.cluster_id() if directory else ""

        def file(ending: str) -> Path | None:
            return directory and file_of_cluster(directory, cluster_id, ending)

        view = View(session.client, projections_of(session), file(".db"))
        session = replace(session, kept_view=lambda _: nullcontext(view if view.is_filled() else None))
        live, events = LiveEvents(), ChangeEvents(view)
        updates = ViewUpdates(
            view,
            lambda: refresh_pause(settings, live),
            on_changes=lambda changes: live.publish(events.events_of(changes)),
            on_lost=lambda lost: live.publish([reset_event(lost, "more has changed at once than is kept")]),
            on_status=lambda status: live.publish([LiveEvent("view", "", status.model_dump_json())]),
        )
        requests = IdempotentRequests(file(".requests.db"))
        history = RunHistory(file(".runs.db"))
        placement = OrderPlacement(session, VIA)
        actions = Actions(Planner.on(session, view, rehearse, placement), live, history)
        demonstration = Demonstration.of(settings)
        brokers = BrokerFacts(session, settings.broker_facts_s, demonstration)
        samples = Samples(session.client, list(session.application.services), endpoints, brokers.stopped)
        return cls(
            session=session,
            settings=settings,
            view=view,
            updates=updates,
            live=live,
            access=access,
            requests=requests,
            placement=placement,
            actions=actions,
            samples=samples,
            sampling=Repetition("samples", lambda: bool(samples.take(now())), lambda: _SAMPLE_EVERY_S),
            history=history,
            brokers=brokers,
            demonstration=demonstration,
            directory=directory,
            endpoints=endpoints or Endpoints(),
        )

    def start(self) -> None:
        """Bring the view up to date, and take samples, from now on."""
        self.updates.start()
        self.sampling.start()

    def close(self) -> None:
        """Stop updating, and close the view."""
        self.live.close()
        self.actions.close()
        self.sampling.stop(2.0)
        self.updates.stop()
        self.placement.close()
        self.requests.close()
        self.history.close()
        self.view.close()

    @cached_property
    def flow(self) -> Graph:
        """The flow as all services declare it."""
        return flow_of(self.session.application.make_services(), self.session.application.catalogue)

    @cached_property
    def control(self) -> ControlFlow:
        """Who decides on each message, as all services declare it."""
        return ControlFlow.of(self.session.application)

    @cached_property
    def declarations(self) -> Declarations:
        """What is declared to follow of an order."""
        return Declarations.of(self.session.application)

    @property
    def orders(self) -> Orders:
        return Orders(self.view)

    @property
    def stock(self) -> Stock:
        return Stock(self.view)


def refresh_pause(settings: ControlRoomSettings, live: LiveEvents) -> float:
    """Return after how many seconds the view is brought up to date again."""
    return settings.refresh_s if live.open_streams else max(settings.refresh_s, _UNWATCHED_S)


def projections_of(session: Session) -> Sequence[Projection]:
    """Return all that the control room keeps in its view."""
    return (
        OrdersProjection(session.sources),
        StockProjection(session.sources),
        FailuresProjection(session.decoder),
        AuditProjection(session.decoder),
        TrafficProjection(MESSAGE_TOPICS),
    )


def _room_of(request: Request) -> ControlRoom:
    room = request.app.state.room
    assert isinstance(room, ControlRoom), "create_app sets it"
    return room


Room = Annotated[ControlRoom, Depends(_room_of)]
"""The control room that a route's function answers from."""
