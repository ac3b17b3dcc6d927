"""A certificate authority of one's own, and a broker's certificate: for a laptop and a staging cluster.

    ca.pem      what clients trust (KAFKA_SSL_CA_LOCATION)
    ca.key      signs more certificates; keep it away from brokers and services
    broker.pem  the broker's key and certificate, as Kafka reads them (ssl.keystore.type=PEM)

A production cluster has an authority already: nothing here is needed there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ensemble.embedded.credentials import BROKER_NAME, Certificates, write_secret
from ensemble.errors import ConfigurationError
from ensemble.extras import imports_of_extra

with imports_of_extra("embedded", "making certificates"):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID: Final = timedelta(days=730)
_SKEW: Final = timedelta(minutes=10)


def make_certificates(directory: Path, hosts: Iterable[str]) -> Certificates:
    """Create the three files, for a broker that is reached by these names and addresses.

    Raises ConfigurationError if they exist: clients that trust the old authority could not connect any more.
    """
    files = Certificates(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        write_secret(directory / "ca.key", _key_text(key))
        authority = _authority(key)
        files.authority.write_text(_text(authority), encoding="utf-8")
        own = ec.generate_private_key(ec.SECP256R1())
        chain = _text(_broker(authority, key, own, hosts)) + _text(authority)
        write_secret(files.broker, _key_text(own) + chain)
    except FileExistsError as error:
        raise ConfigurationError(f"{error.filename} exists already; remove it, or name another directory") from None
    except OSError as error:
        raise ConfigurationError(f"{directory}: {error.strerror}; name a directory that can be written") from None
    return files


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("ensemble-ca")
    signs = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        _draft(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _broker(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    hosts: Iterable[str],
) -> x509.Certificate:
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]  # it calls its controller as a client
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _draft(_name(BROKER_NAME), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(signer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _draft(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    dated = builder.not_valid_before(now - _SKEW).not_valid_after(now + _VALID)
    return dated.serial_number(x509.random_serial_number())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
