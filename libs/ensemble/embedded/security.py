"""The `secure` profile of the embedded broker: SASL_SSL with SCRAM-SHA-512, and nothing allowed that no ACL allows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ensemble.embedded.credentials import BROKER_NAME, Certificates, password, password_file, write_secret
from ensemble.embedded.layout import Layout, Ports, property_value
from ensemble.free_ports import HOST

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

ADMIN: Final = "admin"
"""The first user: created when the storage is formatted, and the only one that ACLs do not bind."""

_PROBE_S: Final = 2.0
_SILENT: Final = logging.getLogger("ensemble.probe")
MakeAdmin = Callable[[dict[str, Any]], "AdminClient"]


def _make_admin(config: dict[str, Any]) -> AdminClient:
    from confluent_kafka.admin import AdminClient

    return AdminClient(config)


@dataclass(frozen=True)
class Security:
    """The secure broker's certificates and the administrator's password, in a directory of their own.

    Both are created at the first start and kept.
    """

    directory: Path

    def prepare(self) -> None:
        """Create the files that are missing."""
        password(self.directory, ADMIN)
        if not self._certificates.broker.exists():
            from ensemble.embedded.certificates import make_certificates  # the plain broker does without cryptography

            make_certificates(self.directory, [HOST, "localhost"])

    def settings(self, ports: Ports) -> str:
        """Return lines for server.properties; they follow, and so replace, those of the plain broker."""
        return SETTINGS.format(
            host=HOST,
            clients=ports.clients,
            controller=ports.controller,
            keys=property_value(self._certificates.broker),
            trusted=property_value(self._certificates.authority),
            broker_name=BROKER_NAME,
            admin=ADMIN,
            password=property_value(_quoted(password(self.directory, ADMIN))),
        )

    def first_user(self, layout: Layout) -> Path:
        """Write the arguments for formatting into a file and return it: any user here could read a command line."""
        path = layout.directory / "first-user"
        path.unlink(missing_ok=True)
        write_secret(path, f"--add-scram\nSCRAM-SHA-512=[name={ADMIN},password={password(self.directory, ADMIN)}]\n")
        return path

    def environment(self, bootstrap: str, user: str = ADMIN) -> dict[str, str]:
        """Return the settings of a process that logs in to this broker as `user`, whose password file must exist."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD_FILE": str(password_file(self.directory, user).absolute()),
            "KAFKA_SSL_CA_LOCATION": str(self._certificates.authority.absolute()),
        }

    def cluster_at(self, host: str, port: int, make_admin: MakeAdmin = _make_admin) -> str | None:
        """Return the id of the cluster that lets the administrator in at this address, or None."""
        from confluent_kafka import KafkaException

        config: dict[str, Any] = {
            "bootstrap.servers": f"{host}:{port}",
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": ADMIN,
            "sasl.password": password(self.directory, ADMIN),
            "ssl.ca.location": str(self._certificates.authority),
            "logger": _quiet(),
        }
        try:
            cluster_id: str | None = make_admin(config).list_topics(timeout=_PROBE_S).cluster_id
        except KafkaException:
            return None
        return cluster_id

    @property
    def _certificates(self) -> Certificates:
        return Certificates(self.directory.absolute())


def _quoted(text: str) -> str:
    """Return the text as it stands between the quotation marks of a JAAS setting."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _quiet() -> logging.Logger:
    """Return a logger that drops the client's lines about a broker that is still starting."""
    _SILENT.propagate = False
    if not _SILENT.handlers:
        _SILENT.addHandler(logging.NullHandler())
    return _SILENT


SETTINGS: Final = """\
# Clients log in over TLS; the controller lets the broker's own certificate in, and no other.
listeners=CLIENTS://{host}:{clients},CONTROLLER://{host}:{controller}
advertised.listeners=CLIENTS://{host}:{clients}
inter.broker.listener.name=CLIENTS
listener.security.protocol.map=CLIENTS:SASL_SSL,CONTROLLER:SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required username="{admin}" password="{password}";
ssl.keystore.type=PEM
ssl.keystore.location={keys}
ssl.truststore.type=PEM
ssl.truststore.location={trusted}
listener.name.controller.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{admin};User:CN={broker_name}
"""
