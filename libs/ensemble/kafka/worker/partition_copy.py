"""Copies one partition of a service's state as it is now, for rehearsals. Nothing of the copy is ever written."""

from __future__ import annotations

from ensemble.clock import SystemClock, until
from ensemble.engine.compiled import CompiledService, compile_service
from ensemble.engine.routes import Limits
from ensemble.engine.task import PartitionTask
from ensemble.errors import FatalError
from ensemble.kafka import client_config as clients
from ensemble.kafka.client.access import ClusterClient
from ensemble.kafka.worker.restore import Restoration
from ensemble.kafka.worker.topic_identity import TopicIdentity
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.policies.service import ServicePolicies
from ensemble.service.service import Service


def compile_for_rehearsal(
    service: Service, policies: ServicePolicies, sources: SchemaSourceSelector
) -> CompiledService:
    """Return the service compiled under these policies."""
    return compile_service(service, SystemClock(), Limits(policies), sources)


def copy_partition(
    plan: CompiledService, partition: int, access: ClusterClient, limit_s: float = 60.0
) -> PartitionTask:
    """Return the partition's task, restored like its owner's. Raises FatalError if that takes longer than `limit_s`."""
    task, identity = PartitionTask(plan, partition), TopicIdentity.of(plan, access.admin)
    identity.compare_committed(())
    task.start_at({}, identity.ids)
    reader = clients.assigned_reader(access.shared, "ensemble-cli")
    restoration = Restoration(plan, [task], reader, access.admin, make_consumer=access.make_consumer)
    try:
        if not any(restoration.advance(0.2, limit_s) for _ in until(limit_s)):
            raise FatalError(f"{plan.service.name}[{partition}] was not read to its end within {limit_s:g} s")
    finally:
        restoration.close()
    task.finish_restore()
    return task
