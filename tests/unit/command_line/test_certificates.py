"""`ensemble certificates make`: whom the broker's certificate is for, and what clients are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from ensemble.command_line.__main__ import run


@pytest.mark.parametrize(
    ("flags", "hosts"),
    [
        ([], (["localhost"], ["127.0.0.1"])),
        (["--host", "kafka", "--host", "10.0.0.7", "--host", "::1"], (["kafka"], ["10.0.0.7", "::1"])),
    ],
)
def test_the_brokers_certificate_is_for_the_hosts_that_are_given_or_for_this_one(
    tmp_path: Path, flags: list[str], hosts: tuple[list[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "secrets"
    assert run(["certificates", "make", str(home), *flags]) == 0
    authority, broker = home / "ca.pem", home / "broker.pem"
    said = f"created {authority} and {broker}; clients set KAFKA_SSL_CA_LOCATION={authority}\n"
    assert capsys.readouterr() == ("", said)
    leaf = x509.load_pem_x509_certificates(broker.read_bytes())[0]
    named = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = [str(each) for each in named.get_values_for_type(x509.IPAddress)]
    assert (named.get_values_for_type(x509.DNSName), addresses) == hosts
