"""Which cluster to talk to: the explicit setting, then a running embedded one of this checkout."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.errors import ConfigurationError
from ensemble.kafka.clients import common
from ensemble.kafka.embedded import default_directory, find_running
from ensemble.settings import KafkaSettings

_PROBE_S: Final = 2.0


def find_bootstrap(settings: KafkaSettings, *, quiet: bool = False) -> str:
    """host:port of the cluster; says on stderr which one it is when it is not the explicit one."""
    if settings.bootstrap_servers:
        return settings.bootstrap_servers
    directory = default_directory()
    found = find_running(directory)
    if found is None:
        raise ConfigurationError(
            "no Kafka cluster: start one with `./ensemble up`, or set KAFKA_BOOTSTRAP_SERVERS=host:port to use "
            "an existing one"
        )
    if not quiet:
        print(f"using the embedded Kafka of this checkout at {found} ({_short(directory)})", file=sys.stderr)
    return found


def connect(settings: KafkaSettings, timeout_s: float, *, quiet: bool = False) -> tuple[dict[str, Any], AdminClient]:
    """The clients' shared settings and an admin client that has reached the broker; ConfigurationError in words."""
    shared = common(find_bootstrap(settings, quiet=quiet), settings)
    errors: list[str] = []
    config: dict[str, Any] = {**shared, "error_cb": lambda error: errors.append(error.str())}
    try:
        admin = AdminClient(config)
    except KafkaException as error:
        raise ConfigurationError(f"the Kafka settings do not fit together: {error.args[0].str()}") from None
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            admin.list_topics(timeout=min(_PROBE_S, timeout_s))
            return shared, admin
        except KafkaException as error:
            why = errors[-1] if errors else error.args[0].str()
            if time.monotonic() > deadline or _is_refusal(why):
                raise ConfigurationError(
                    f"cannot reach Kafka at {shared['bootstrap.servers']}: {why}; check KAFKA_BOOTSTRAP_SERVERS "
                    "and the SASL and TLS settings"
                ) from None


def _is_refusal(why: str) -> bool:
    """Wrong credentials do not get better by waiting."""
    return "uthentication" in why


def _short(directory: Path) -> str:
    here = Path.cwd()
    return str(directory.relative_to(here)) if directory.is_relative_to(here) else directory.name
