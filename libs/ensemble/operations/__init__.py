"""Answers what operators ask of any application on the runtime, and does what they decide."""

from typing import TYPE_CHECKING, Final

from ensemble.lazy import import_on_first_use
from ensemble.operations.control_flow import BOTH, CHOREOGRAPHED, ORCHESTRATED, ControlFlow
from ensemble.operations.dead_letter import OPEN, DeadLetterEntry, Fate, fate_of, normalise
from ensemble.operations.dead_letter_filter import DeadLetterFilter, group_by_cause
from ensemble.operations.delays import percentile
from ensemble.operations.entries import OUTSIDE_SENDER, Entry, decode_entry
from ensemble.operations.errors import (
    Ambiguous,
    Forbidden,
    Invalid,
    NotFound,
    NotPossible,
    OperationsError,
    Unreachable,
)
from ensemble.operations.intent import NAME_LIMIT, REASON_LIMIT, Actor, Intent, Reason
from ensemble.operations.outgoing import headers_of, now
from ensemble.operations.plans import Plan, PlanItem, Skipped, first_skipped
from ensemble.operations.policies_in_force import check_policy_file, policies_in_force, stray_policy_files
from ensemble.operations.positions import read_positions
from ensemble.operations.records import RecordDetails, RecordHeader, get_record, parse_position
from ensemble.operations.service_topics import (
    CONTROL,
    DEAD_LETTER,
    OPERATIONS,
    PARKED,
    service_names,
    services_with,
)
from ensemble.operations.session import Session, decoder_of
from ensemble.operations.settings_in_force import settings_in_force
from ensemble.operations.times import duration_ms, moment_ms
from ensemble.operations.values import Money, Position, Result
from ensemble.operations.view import OnProgress
from ensemble.system_messages import ParkedStatus

if TYPE_CHECKING:
    from ensemble.operations.audit import (
        Audit,
        AuditEntry,
        AuditFilter,
        AuditProjection,
        Incident,
        PauseProgress,
        WorkPause,
    )
    from ensemble.operations.audit_trail import list_audit
    from ensemble.operations.consumer_offsets import (
        NAMED_PLACES,
        OffsetMove,
        OffsetPlan,
        Target,
        plan_offsets,
        require_no_members,
        set_offsets,
    )
    from ensemble.operations.consumers import (
        Instance,
        PartitionReader,
        ServiceConsumers,
        list_consumers,
        list_readers,
        stopped_services,
    )
    from ensemble.operations.control_commands import AnswerListener, Answers, Ask, record_of
    from ensemble.operations.dead_letters import (
        DeadLetterDetails,
        GroupSummary,
        describe_dead_letter,
        find_dead_letter,
        find_dead_letters,
        find_group,
        list_dead_letters,
        list_groups,
        position_of,
        summary_of,
    )
    from ensemble.operations.doctor import Answer, Check, CheckResult, Examination, examine, worst_of
    from ensemble.operations.endpoints import Endpoints
    from ensemble.operations.examinations import Patient, examinations_of
    from ensemble.operations.failures import (
        DeadLetterGroup,
        DeadLetterSummary,
        Failures,
        FailuresProjection,
        ParkedKeySummary,
    )
    from ensemble.operations.findings import Finding, findings_of, problem, problems_first, warning
    from ensemble.operations.group_notes import NoteOnGroup, put_note, read_notes
    from ensemble.operations.incidents import list_incidents
    from ensemble.operations.lag import PartitionLag, read_lag
    from ensemble.operations.parked import (
        BlockedRecord,
        ParkedKeyDetails,
        ParkedKeyFilter,
        describe_parked_key,
        find_parked_key,
        find_parked_keys,
        list_parked_keys,
        summarize_parked_key,
    )
    from ensemble.operations.parking_stores import LiveParkingStores, Parked, ParkingStores
    from ensemble.operations.pause_runs import PauseItem, PausePlan, WorkPauses
    from ensemble.operations.permissions import (
        Others,
        PermissionSummary,
        compare_permissions,
        grant_permissions,
        list_permissions,
        users_of,
    )
    from ensemble.operations.readability import describe_readability, encode_edited
    from ensemble.operations.readiness import Readiness
    from ensemble.operations.record_skip import SkippedFate, SkippedRecord, plan_skip, skip_record
    from ensemble.operations.redrive_commands import SentOperation, discard_of, redrive_of
    from ensemble.operations.redrive_outcome import Outcome, outcome_of
    from ensemble.operations.redrive_plan import RedriveItem, RedrivePlan, in_order
    from ensemble.operations.redrive_rehearsal import RedriveRehearsal, RehearsedOutput, rehearse_redrives
    from ensemble.operations.redrives import REDRIVES, DeadLetters, ParkedKeys, Rehearse
    from ensemble.operations.rehearsal_process import rehearse
    from ensemble.operations.rehearsal_text import describe_rehearsal
    from ensemble.operations.rollout import Rollout
    from ensemble.operations.run_events import (
        RUN_EVENT,
        Acknowledged,
        Finished,
        Resolved,
        RunEvent,
        Stopped,
        Submitted,
        WaveFinished,
    )
    from ensemble.operations.runs import EventStream, Run, RunSequence, RunState, RunSummary, RunTarget, Verdict
    from ensemble.operations.samples import Sample, Samples
    from ensemble.operations.schema_registry import has_registry, plan_register_all, register_all, registry_problems
    from ensemble.operations.service_metrics import ServiceCounters
    from ensemble.operations.status import (
        ClusterStatus,
        ServiceStatus,
        Status,
        read_status,
        status_projections,
    )
    from ensemble.operations.topics import TopicSummary, compare_topics, create_missing_topics, required_topics
    from ensemble.operations.traffic import (
        EdgeTraffic,
        Traffic,
        TrafficBin,
        TrafficEdge,
        TrafficProjection,
        TrafficSecond,
    )
    from ensemble.operations.unread_records import SET_ASIDE, plan_set_aside, set_aside
    from ensemble.operations.wide_pauses import (
        PauseSummary,
        WidePause,
        command_names,
        list_pauses,
        step_names,
        wide_pause,
    )

__all__ = [
    "BOTH",
    "CHOREOGRAPHED",
    "CONTROL",
    "DEAD_LETTER",
    "NAMED_PLACES",
    "NAME_LIMIT",
    "OPEN",
    "OPERATIONS",
    "ORCHESTRATED",
    "OUTSIDE_SENDER",
    "PARKED",
    "REASON_LIMIT",
    "REDRIVES",
    "RUN_EVENT",
    "SET_ASIDE",
    "Acknowledged",
    "Actor",
    "Ambiguous",
    "Answer",
    "AnswerListener",
    "Answers",
    "Ask",
    "Audit",
    "AuditEntry",
    "AuditFilter",
    "AuditProjection",
    "BlockedRecord",
    "Check",
    "CheckResult",
    "ClusterStatus",
    "ControlFlow",
    "DeadLetterDetails",
    "DeadLetterEntry",
    "DeadLetterFilter",
    "DeadLetterGroup",
    "DeadLetterSummary",
    "DeadLetters",
    "EdgeTraffic",
    "Endpoints",
    "Entry",
    "EventStream",
    "Examination",
    "Failures",
    "FailuresProjection",
    "Fate",
    "Finding",
    "Finished",
    "Forbidden",
    "GroupSummary",
    "Incident",
    "Instance",
    "Intent",
    "Invalid",
    "LiveParkingStores",
    "Money",
    "NotFound",
    "NotPossible",
    "NoteOnGroup",
    "OffsetMove",
    "OffsetPlan",
    "OnProgress",
    "OperationsError",
    "Others",
    "Outcome",
    "Parked",
    "ParkedKeyDetails",
    "ParkedKeyFilter",
    "ParkedKeySummary",
    "ParkedKeys",
    "ParkedStatus",
    "ParkingStores",
    "PartitionLag",
    "PartitionReader",
    "Patient",
    "PauseItem",
    "PausePlan",
    "PauseProgress",
    "PauseSummary",
    "PermissionSummary",
    "Plan",
    "PlanItem",
    "Position",
    "Readiness",
    "Reason",
    "RecordDetails",
    "RecordHeader",
    "RedriveItem",
    "RedrivePlan",
    "RedriveRehearsal",
    "Rehearse",
    "RehearsedOutput",
    "Resolved",
    "Result",
    "Rollout",
    "Run",
    "RunEvent",
    "RunSequence",
    "RunState",
    "RunSummary",
    "RunTarget",
    "Sample",
    "Samples",
    "SentOperation",
    "ServiceConsumers",
    "ServiceCounters",
    "ServiceStatus",
    "Session",
    "Skipped",
    "SkippedFate",
    "SkippedRecord",
    "Status",
    "Stopped",
    "Submitted",
    "Target",
    "TopicSummary",
    "Traffic",
    "TrafficBin",
    "TrafficEdge",
    "TrafficProjection",
    "TrafficSecond",
    "Unreachable",
    "Verdict",
    "WaveFinished",
    "WidePause",
    "WorkPause",
    "WorkPauses",
    "check_policy_file",
    "command_names",
    "compare_permissions",
    "compare_topics",
    "create_missing_topics",
    "decode_entry",
    "decoder_of",
    "describe_dead_letter",
    "describe_parked_key",
    "describe_readability",
    "describe_rehearsal",
    "discard_of",
    "duration_ms",
    "encode_edited",
    "examinations_of",
    "examine",
    "fate_of",
    "find_dead_letter",
    "find_dead_letters",
    "find_group",
    "find_parked_key",
    "find_parked_keys",
    "findings_of",
    "first_skipped",
    "get_record",
    "grant_permissions",
    "group_by_cause",
    "has_registry",
    "headers_of",
    "in_order",
    "list_audit",
    "list_consumers",
    "list_dead_letters",
    "list_groups",
    "list_incidents",
    "list_parked_keys",
    "list_pauses",
    "list_permissions",
    "list_readers",
    "moment_ms",
    "normalise",
    "now",
    "outcome_of",
    "parse_position",
    "percentile",
    "plan_offsets",
    "plan_register_all",
    "plan_set_aside",
    "plan_skip",
    "policies_in_force",
    "position_of",
    "problem",
    "problems_first",
    "put_note",
    "read_lag",
    "read_notes",
    "read_positions",
    "read_status",
    "record_of",
    "redrive_of",
    "register_all",
    "registry_problems",
    "rehearse",
    "rehearse_redrives",
    "require_no_members",
    "required_topics",
    "service_names",
    "services_with",
    "set_aside",
    "set_offsets",
    "settings_in_force",
    "skip_record",
    "status_projections",
    "step_names",
    "stopped_services",
    "stray_policy_files",
    "summarize_parked_key",
    "summary_of",
    "users_of",
    "warning",
    "wide_pause",
    "worst_of",
]

_MODULES: Final = {
    "audit": ["Audit", "AuditEntry", "AuditFilter", "AuditProjection", "Incident", "PauseProgress", "WorkPause"],
    "audit_trail": ["list_audit"],
    "consumer_offsets": [
        "NAMED_PLACES",
        "OffsetMove",
        "OffsetPlan",
        "Target",
        "plan_offsets",
        "require_no_members",
        "set_offsets",
    ],
    "consumers": [
        "Instance",
        "PartitionReader",
        "ServiceConsumers",
        "list_consumers",
        "list_readers",
        "stopped_services",
    ],
    "control_commands": ["AnswerListener", "Answers", "Ask", "record_of"],
    "dead_letters": [
        "DeadLetterDetails",
        "GroupSummary",
        "describe_dead_letter",
        "find_dead_letter",
        "find_dead_letters",
        "find_group",
        "list_dead_letters",
        "list_groups",
        "position_of",
        "summary_of",
    ],
    "doctor": ["Answer", "Check", "CheckResult", "Examination", "examine", "worst_of"],
    "endpoints": ["Endpoints"],
    "examinations": ["Patient", "examinations_of"],
    "failures": ["DeadLetterGroup", "DeadLetterSummary", "Failures", "FailuresProjection", "ParkedKeySummary"],
    "findings": ["Finding", "findings_of", "problem", "problems_first", "warning"],
    "group_notes": ["NoteOnGroup", "put_note", "read_notes"],
    "incidents": ["list_incidents"],
    "lag": ["PartitionLag", "read_lag"],
    "parked": [
        "BlockedRecord",
        "ParkedKeyDetails",
        "ParkedKeyFilter",
        "describe_parked_key",
        "find_parked_key",
        "find_parked_keys",
        "list_parked_keys",
        "summarize_parked_key",
    ],
    "parking_stores": ["LiveParkingStores", "Parked", "ParkingStores"],
    "pause_runs": ["PauseItem", "PausePlan", "WorkPauses"],
    "permissions": [
        "Others",
        "PermissionSummary",
        "compare_permissions",
        "grant_permissions",
        "list_permissions",
        "users_of",
    ],
    "readability": ["describe_readability", "encode_edited"],
    "readiness": ["Readiness"],
    "record_skip": ["SkippedFate", "SkippedRecord", "plan_skip", "skip_record"],
    "redrive_commands": ["SentOperation", "discard_of", "redrive_of"],
    "redrive_outcome": ["Outcome", "outcome_of"],
    "redrive_plan": ["RedriveItem", "RedrivePlan", "in_order"],
    "redrive_rehearsal": ["RedriveRehearsal", "RehearsedOutput", "rehearse_redrives"],
    "redrives": ["REDRIVES", "DeadLetters", "ParkedKeys", "Rehearse"],
    "rehearsal_process": ["rehearse"],
    "rehearsal_text": ["describe_rehearsal"],
    "rollout": ["Rollout"],
    "run_events": [
        "RUN_EVENT",
        "Acknowledged",
        "Finished",
        "Resolved",
        "RunEvent",
        "Stopped",
        "Submitted",
        "WaveFinished",
    ],
    "runs": ["EventStream", "Run", "RunSequence", "RunState", "RunSummary", "RunTarget", "Verdict"],
    "samples": ["Sample", "Samples"],
    "schema_registry": ["has_registry", "plan_register_all", "register_all", "registry_problems"],
    "service_metrics": ["ServiceCounters"],
    "status": ["ClusterStatus", "ServiceStatus", "Status", "read_status", "status_projections"],
    "topics": ["TopicSummary", "compare_topics", "create_missing_topics", "required_topics"],
    "traffic": ["EdgeTraffic", "Traffic", "TrafficBin", "TrafficEdge", "TrafficProjection", "TrafficSecond"],
    "unread_records": ["SET_ASIDE", "plan_set_aside", "set_aside"],
    "wide_pauses": ["PauseSummary", "WidePause", "command_names", "list_pauses", "step_names", "wide_pause"],
}
"""What most commands do without, by its module: it is imported at its first use.

A function with the name of its module cannot be among them: the module would take its place.
"""

if not TYPE_CHECKING:  # a type checker knows each name by its import above, and no other
    __getattr__ = import_on_first_use(
        __name__, {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}
    )
