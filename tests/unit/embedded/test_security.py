"""What a secure broker and its clients are given: certificates, a first user, settings; and how one is asked for."""

import logging
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaException
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ensemble.embedded import make_certificates
from ensemble.embedded.credentials import password
from ensemble.embedded.layout import Layout, Ports
from ensemble.embedded.security import Security
from ensemble.errors import ConfigurationError

SETTINGS = """\
# Clients log in over TLS; the controller lets the broker's own certificate in, and no other.
listeners=CLIENTS://127.0.0.1:11,CONTROLLER://127.0.0.1:22
advertised.listeners=CLIENTS://127.0.0.1:11
inter.broker.listener.name=CLIENTS
listener.security.protocol.map=CLIENTS:SASL_SSL,CONTROLLER:SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="secret";
ssl.keystore.type=PEM
ssl.keystore.location={home}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={home}/ca.pem
listener.name.controller.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:admin;User:CN=ensemble-broker
"""


@pytest.fixture
def security(tmp_path: Path) -> Security:
    (tmp_path / "admin.password").write_text("secret\n")
    return Security(tmp_path)


def test_the_certificates_are_of_an_authority_that_signs_the_broker_and_no_other_authority(tmp_path: Path) -> None:
    # given
    files = make_certificates(tmp_path / "a" / "b", iter(["kafka", "10.0.0.7"]))
    authority, broker = (x509.load_pem_x509_certificates(each.read_bytes()) for each in (files.authority, files.broker))
    assert broker[1:] == authority
    (issuer,), leaf = authority, broker[0]
    keys = [load_pem_private_key(path.read_bytes(), None) for path in (files.directory / "ca.key", files.broker)]

    # then each is who it says, for two years
    assert [key.public_key() for key in keys] == [issuer.public_key(), leaf.public_key()]
    assert keys[0].public_key() != keys[1].public_key()
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(issuer)
    assert [common_name(each.subject) for each in (issuer, leaf)] == ["ensemble-ca", "ensemble-broker"]
    for each in (issuer, leaf):
        assert each.not_valid_after_utc - each.not_valid_before_utc == timedelta(days=730, minutes=10)
        assert abs(datetime.now(UTC) - timedelta(minutes=10) - each.not_valid_before_utc) < timedelta(minutes=9)

    # and may do what it has to
    issuer_key: Any = issuer.public_key()
    assert extensions(issuer) == {
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (usage("digital_signature", "key_cert_sign", "crl_sign"), True),
        (x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()), False),
    }
    assert extensions(leaf) == {
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        (x509.SubjectAlternativeName([x509.DNSName("kafka"), x509.IPAddress(ip_address("10.0.0.7"))]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), False),
    }


def common_name(name: x509.Name) -> str:
    (attribute,) = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


def extensions(certificate: x509.Certificate) -> set[tuple[Any, bool]]:
    return {(each.value, each.critical) for each in certificate.extensions}


def usage(*allowed: str) -> x509.KeyUsage:
    content = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    others = (*content, "encipher_only", "decipher_only")
    return x509.KeyUsage(**dict.fromkeys(allowed, True), **dict.fromkeys(others, False))


def test_secrets_that_cannot_be_written_are_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigurationError) as refusal:
        make_certificates(file / "c", ["kafka"])
    assert str(refusal.value) == f"{file}/c: Not a directory; name a directory that can be written"
    with pytest.raises(ConfigurationError) as refusal:
        password(file / "c", "ann")
    assert str(refusal.value) == f"{file}/c/ann.password: Not a directory; name a directory that you can write"

    (tmp_path / "ca.key").touch()
    with pytest.raises(ConfigurationError) as refusal:
        make_certificates(tmp_path, ["kafka"])
    assert str(refusal.value) == f"{tmp_path}/ca.key exists already; remove it, or name another directory"


def test_a_password_is_made_once_and_kept_where_there_was_no_directory(tmp_path: Path) -> None:
    ann, again, bob = (password(tmp_path / "a" / "b", user) for user in ("ann", "ann", "bob"))
    assert (ann == again, ann == bob, len(ann)) == (True, False, 32)
    assert (tmp_path / "a" / "b" / "ann.password").read_text() == f"{ann}\n"


def test_what_is_missing_is_made_once(tmp_path: Path) -> None:
    security = Security(tmp_path / "secure")
    security.prepare()
    before = {path.name: path.read_bytes() for path in security.directory.iterdir()}
    security.prepare()
    assert {path.name: path.read_bytes() for path in security.directory.iterdir()} == before
    assert sorted(before) == ["admin.password", "broker.pem", "ca.key", "ca.pem"]
    broker = x509.load_pem_x509_certificates(before["broker.pem"])[0]
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]


def test_the_broker_gets_its_settings_and_its_first_user(security: Security) -> None:
    home, layout = security.directory, Layout(security.directory)
    assert security.settings(Ports(clients=11, controller=22)) == SETTINGS.format(home=home)
    for _ in range(2):
        path = security.first_user(layout)
        assert path.read_text() == "--add-scram\nSCRAM-SHA-512=[name=admin,password=secret]\n"
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_process_gets_the_settings_to_log_in_with(security: Security, monkeypatch: pytest.MonkeyPatch) -> None:
    home = security.directory
    monkeypatch.chdir(home.parent)
    relative = Security(Path(home.name))
    expected = {
        "KAFKA_BOOTSTRAP_SERVERS": "h:1",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": "order",
        "KAFKA_SASL_PASSWORD_FILE": f"{home}/order.password",
        "KAFKA_SSL_CA_LOCATION": f"{home}/ca.pem",
    }
    assert security.environment("h:1", "order") == relative.environment("h:1", "order") == expected
    assert security.environment("h:1")["KAFKA_SASL_USERNAME"] == "admin"


def test_a_secure_broker_is_asked_as_its_administrator_and_quietly(security: Security) -> None:
    asked: list[dict[str, Any]] = []

    class Admin:
        def __init__(self, config: dict[str, Any]) -> None:
            asked.append(config)

        def list_topics(self, *, timeout: float) -> SimpleNamespace:
            assert timeout <= 2.0
            return SimpleNamespace(cluster_id="the-cluster")

    assert security.cluster_at("h", 1, Admin) == security.cluster_at("h", 1, Admin) == "the-cluster"  # type: ignore[arg-type]
    assert asked[0] == asked[1]
    logger: logging.Logger = asked[0].pop("logger")
    assert ([type(each) for each in logger.handlers], logger.propagate) == ([logging.NullHandler], False)
    assert asked[0] == {
        "bootstrap.servers": "h:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "admin",
        "sasl.password": "secret",
        "ssl.ca.location": f"{security.directory}/ca.pem",
    }


def test_a_broker_that_does_not_let_its_administrator_in_is_none(security: Security) -> None:
    def refuse(config: dict[str, Any]) -> Any:
        raise KafkaException

    assert security.cluster_at("h", 1, refuse) is None
