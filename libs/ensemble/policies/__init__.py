"""Says how often a failed input or a step is tried again and what follows, and reads policy files."""

from ensemble.policies.loading import LoadedPolicies, load_policies, read_policies
from ensemble.policies.retry import OnExhaustion, RetryPolicy
from ensemble.policies.saga_loading import LoadedSagaPolicies, load_saga_policies, read_saga_policies
from ensemble.policies.service import ServicePolicies
from ensemble.policies.sources import PolicyValue
from ensemble.policies.toml_file import PolicyFile, find_policy_file, read_policy_file

__all__ = [
    "LoadedPolicies",
    "LoadedSagaPolicies",
    "OnExhaustion",
    "PolicyFile",
    "PolicyValue",
    "RetryPolicy",
    "ServicePolicies",
    "find_policy_file",
    "load_policies",
    "load_saga_policies",
    "read_policies",
    "read_policy_file",
    "read_saga_policies",
]
