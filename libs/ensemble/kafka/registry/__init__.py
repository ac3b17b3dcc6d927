"""Takes schema ids from the released files, or from a Confluent-compatible registry."""

from typing import TYPE_CHECKING

from ensemble.kafka.registry.sources import schema_sources
from ensemble.lazy import import_on_first_use

if TYPE_CHECKING:
    from ensemble.kafka.registry.availability import Patience
    from ensemble.kafka.registry.registration import (
        PlannedRegistration,
        Registration,
        check_registered,
        plan_registrations,
        register_schemas,
        registry_of_the_environment,
    )

__all__ = [
    "Patience",
    "PlannedRegistration",
    "Registration",
    "check_registered",
    "plan_registrations",
    "register_schemas",
    "registry_of_the_environment",
    "schema_sources",
]

# Registering loads an HTTP client, which a service does without unless it uses a registry.
if not TYPE_CHECKING:  # a type checker knows each name by its import above, and no other
    __getattr__ = import_on_first_use(
        __name__,
        {
            "Patience": "ensemble.kafka.registry.availability",
            "PlannedRegistration": "ensemble.kafka.registry.registration",
            "Registration": "ensemble.kafka.registry.registration",
            "check_registered": "ensemble.kafka.registry.registration",
            "plan_registrations": "ensemble.kafka.registry.registration",
            "register_schemas": "ensemble.kafka.registry.registration",
            "registry_of_the_environment": "ensemble.kafka.registry.registration",
        },
    )
