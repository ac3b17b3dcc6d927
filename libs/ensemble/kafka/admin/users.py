"""SCRAM users: one for each service, its password in a file that only its owner may read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # unmarked re-exports
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from ensemble.embedded.credentials import password
from ensemble.errors import Unavailable
from ensemble.kafka.admin.permissions import THIS_USER, require_on_cluster

_TIMEOUT_S: Final = 120.0
_ITERATIONS: Final = 8192


def apply(admin: AdminClient, users: Iterable[str], directory: Path, administrator: str = THIS_USER) -> None:
    """Let each user log in with the password in its file, whatever the password was before.

    Raises Unavailable if `administrator` may not alter users, or the cluster does not answer.
    """
    require_on_cluster(admin, "ALTER", administrator)
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    alterations: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(user, info, password(directory, user).encode()) for user in users
    ]
    for user, future in admin.alter_user_scram_credentials(alterations, request_timeout=_TIMEOUT_S).items():
        try:
            future.result(_TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            reason = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
            raise Unavailable(f"cannot make user {user!r}: {reason}") from None
