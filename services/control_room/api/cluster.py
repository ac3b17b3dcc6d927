"""How cluster and services are, and what is declared and configured: what the command line reads, as JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query

from backoffice.order_document import hide_secrets
from backoffice.status import FlowStatus, flow_examinations, read_flow_status
from ensemble.embedded import default_directory
from ensemble.messages import check_compatibility
from ensemble.operations import (
    Check,
    Others,
    ParkedKeyDetails,
    Patient,
    PermissionSummary,
    Position,
    RecordDetails,
    Result,
    ServiceConsumers,
    TopicSummary,
    compare_topics,
    describe_parked_key,
    examine,
    find_parked_key,
    get_record,
    list_permissions,
)
from ensemble.operations import list_consumers as read_consumers
from ensemble.system_messages import SCHEMAS
from ensemble.topology import check_topology, lifetimes
from services.control_room.api.parameters import (
    Offset,
    PartitionNumber,
    RoomWithView,
    ServiceName,
    TopicName,
    problems,
    require_kafka,
)
from services.control_room.control_room import ControlRoom, Room

router = APIRouter(tags=["system"], responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))

User = Annotated[str | None, Query(max_length=256, description="A user of the cluster.")]
ParkingKey = Annotated[str, Path(min_length=1, max_length=256)]


class DeclarationProblem(Result):
    """Something that is declared and cannot work, or a schema that old or new readers cannot read."""

    rule: str
    subject: str
    problem: str


class DeclaredLifetime(Result):
    """How long something is kept, where that is set, and what follows then."""

    subject: str
    kept: str
    origin: str
    then: str | None


@router.get("/status")
def get_status(room: RoomWithView) -> FlowStatus:
    """Return how the order flow is: cluster, services, incidents, pauses and orders; as `status --json` does."""
    require_kafka(room)
    return _status_of(room)


@router.get("/doctor")
def get_checks(room: RoomWithView) -> tuple[Check, ...]:
    """Return what the doctor finds, and the command to type next; what could not be asked is `unasked`."""
    require_kafka(room)
    patient = Patient(room.session, lambda: _status_of(room), [room.directory or default_directory()])
    return tuple(examine(flow_examinations(patient, lambda: _status_of(room))))


@router.get("/consumers/services")
def list_service_consumers(room: Room, service: ServiceName = None) -> tuple[ServiceConsumers, ...]:
    """Return the processes of each service, its partitions, how far it is behind, and what it reads next."""
    require_kafka(room)
    return read_consumers(room.session, service)


@router.get("/topics")
def list_topics(room: Room) -> tuple[TopicSummary, ...]:
    """Return each topic of the catalogue, and its state on the cluster."""
    require_kafka(room)
    return compare_topics(room.session.application, room.session.client)


@router.get("/records/{topic}/{partition}/{offset}")
def get_one_record(room: Room, topic: TopicName, partition: PartitionNumber, offset: Offset) -> RecordDetails:
    """Return the record at a place, decoded as far as it can be. Secrets are hidden, and so are undecoded bytes."""
    require_kafka(room)
    record = get_record(room.session, Position(topic=topic, partition=partition, offset=offset))
    return record.model_copy(update={"fields": hide_secrets(record.fields), "bytes": None})


@router.get("/parked-keys/{service}/{key}")
def get_parked_key(room: Room, service: Annotated[str, Path(max_length=256)], key: ParkingKey) -> ParkedKeyDetails:
    """Return a parked key with its records, in the order in which they will be handled. Secrets are hidden."""
    require_kafka(room)
    details = describe_parked_key(room.session, find_parked_key(room.session, key, service))
    records = [each.model_copy(update={"fields": hide_secrets(each.fields)}) for each in details.records]
    return details.model_copy(update={"records": tuple(records)})


@router.get("/permissions")
def list_needed_permissions(
    room: Room, *, registry: User = None, operator: User = None, client: User = None
) -> tuple[PermissionSummary, ...]:
    """Return the permissions that services need on a cluster with ACLs, and those of the users that are named."""
    return list_permissions(room.session.application, Others(registry, operator, client))


@router.get("/topology/problems")
def list_declaration_problems(room: Room) -> tuple[DeclarationProblem, ...]:
    """Return which rules the declarations of the services break."""
    application = room.session.application
    broken = check_topology(application.make_services(), application.catalogue)
    return tuple(DeclarationProblem(rule=each.rule, subject=each.subject, problem=each.reason) for each in broken)


@router.get("/topology/lifetimes")
def list_lifetimes(room: Room) -> tuple[DeclaredLifetime, ...]:
    """Return how long everything is kept, and what follows then: topics, offsets, ids, state, steps."""
    return tuple(
        DeclaredLifetime(subject=each.subject, kept=each.duration, origin=each.origin, then=each.then or None)
        for each in lifetimes(room.session.application.make_services())
    )


@router.get("/schemas/problems")
def list_schema_problems(room: Room) -> tuple[DeclarationProblem, ...]:
    """Return what old or new readers of the messages could not read."""
    return tuple(
        DeclarationProblem(rule="schema", subject=each.subject, problem=each.reason)
        for schemas in (*room.session.application.schemas, SCHEMAS)
        for each in check_compatibility(schemas)
    )


def _status_of(room: ControlRoom) -> FlowStatus:
    return read_flow_status(room.session, room.view, room.endpoints)
