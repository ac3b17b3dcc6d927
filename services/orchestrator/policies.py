"""How long the order saga waits for each step, and how often it sends again."""

from __future__ import annotations

from typing import Final

from ensemble import SagaPolicies, StepPolicy
from ensemble.policies import load_saga_policies

ENV_PREFIX: Final = "ENSEMBLE_FULFILMENT_"

STEP: Final = StepPolicy(deadline_s=20, resends=3)
UNDO: Final = StepPolicy(deadline_s=20, resends=10)
"""More resends than a step has: an undo that is given up needs a person."""

DEFAULT_POLICIES: Final = SagaPolicies(
    steps={
        "payment": STEP,
        "reservation": STEP,
        "shipment": STEP,
    },
    undos={
        "payment": UNDO,
        "reservation": UNDO,
        "shipment": UNDO,
    },
    expiry_margin_s=60,  # time for a shipment to follow a late reservation
    placeholder_s=3600,
    stub_s=7 * 86_400,  # as long as orders.events keeps: what comes late finds the order whole
)


def fulfilment_policies() -> SagaPolicies:
    """Return the policies in force: the environment over the orchestrator's policy file over the defaults.

    Raises ConfigurationError, which names the variable, or file, line and key.
    """
    return load_saga_policies("orchestrator", DEFAULT_POLICIES, ENV_PREFIX)
