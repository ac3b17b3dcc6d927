"""The model of what each command prints as JSON, so that it has a schema, and changes only where the model does."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ensemble.command_line.declaration_documents import (
    ChosenProfile,
    LifetimeRow,
    ProfileDocument,
    RegistrationRow,
    SchemasCheck,
    SchemaVersionRow,
    ServicePolicies,
    TopologyCheck,
    TopologyDocument,
)
from ensemble.command_line.documents import (
    DeadLetterGroupRow,
    DeadLetterRow,
    IncidentRow,
    NotedGroup,
    ParkedKeyDocument,
    ParkedKeyRow,
    PauseOutcome,
    PausePreview,
    PauseRow,
    PermissionRow,
    ProfileRow,
    RedriveOutcomeRow,
    RedrivePreviewRow,
    RehearsalRow,
    RunRow,
    SettingRow,
    SubmittedRow,
    TopicRow,
)
from ensemble.command_line.record_documents import (
    DeadLetterDocument,
    OffsetMoveRow,
    RecordDocument,
    SkippedRecordRow,
)
from ensemble.operations import (
    AuditEntry,
    Check,
    PartitionReader,
    RecordDetails,
    ServiceConsumers,
    Status,
)

AsyncApi = dict[str, Any]
"""A document of AsyncAPI, which has a schema of its own."""
DOCUMENTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "acls apply": list[PermissionRow],
        "acls show": list[PermissionRow],
        "audit list": list[AuditEntry],
        "config show": list[SettingRow],
        "consumers lag": list[PartitionReader],
        "consumers list": list[ServiceConsumers],
        "consumers set-offsets": list[OffsetMoveRow],
        "context list": list[ProfileRow],
        "context show": ProfileDocument,
        "context use": ChosenProfile,
        "dead-letters discard": list[RedriveOutcomeRow] | list[RedrivePreviewRow] | list[SubmittedRow],
        "dead-letters group": list[DeadLetterGroupRow],
        "dead-letters list": list[DeadLetterRow],
        "dead-letters note": NotedGroup,
        "dead-letters redrive": list[RedriveOutcomeRow] | list[RehearsalRow] | list[SubmittedRow],
        "dead-letters show": DeadLetterDocument,
        "doctor": list[Check],
        "incidents list": list[IncidentRow],
        "parked discard": list[RedriveOutcomeRow] | list[RedrivePreviewRow] | list[SubmittedRow],
        "parked list": list[ParkedKeyRow],
        "parked redrive": list[RedriveOutcomeRow] | list[RedrivePreviewRow] | list[SubmittedRow],
        "parked show": ParkedKeyDocument,
        "pauses list": list[PauseRow],
        "pauses start": PauseOutcome | PausePreview | list[SubmittedRow],
        "policies check": ServicePolicies,
        "policies show": list[ServicePolicies],
        "records get": RecordDetails,
        "records set-aside": list[OffsetMoveRow],
        "records skip": list[SkippedRecordRow],
        "runs list": list[RunRow],
        "runs stop": RunRow,
        "schemas check": SchemasCheck,
        "schemas register": list[RegistrationRow],
        "schemas release": list[SchemaVersionRow],
        "schemas write": list[str],
        "status": Status,
        "tail": RecordDocument,
        "topics apply": list[TopicRow],
        "topics list": list[TopicRow],
        "topology check": TopologyCheck,
        "topology lifetimes": list[LifetimeRow],
        "topology show": TopologyDocument | AsyncApi,
    }
)
"""The model by the words of the command; of `tail` the model of each line."""
