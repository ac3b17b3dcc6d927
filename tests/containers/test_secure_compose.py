"""The same system with docker-compose.secure.yml: a login for everybody, and the least permissions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from ensemble.command_line.exit_codes import ExitCode
from tests.containers.stack import SERVICES, Stack, running_stack

pytestmark = pytest.mark.timeout(600)

USERS = (*SERVICES, "schema-registry")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("host"), "docker-compose.secure.yml") as stack:
        yield stack


def assert_refused(ran: CompletedProcess[str], expected: str) -> None:
    assert (ran.returncode, ran.stdout) == (ExitCode.UNREACHABLE, "")
    assert expected in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_order_completes_and_nothing_is_wrong(stack: Stack) -> None:
    command = ("python", "-m", "cli")
    stack.administer(*command, "stock", "receive", "bolt", "10")
    stack.administer(*command, "orders", "place", "--order-id", "order-1", "--line", "bolt:1:250")
    assert "OrderCompleted" in stack.administer(*command, "orders", "watch", "order-1", "--timeout", "90")
    verify = ("verify", "--expect-orders", "1", "--settle", "60", "--provider", "http://payment-sandbox:8090")
    assert "clean" in stack.administer(*command, *verify)


def test_the_cluster_grants_what_is_declared_and_nothing_else(stack: Stack) -> None:
    show = ("acls", "show", "--cluster", "--registry", "schema-registry", "--json")
    rows = json.loads(stack.administer("python", "-m", "cli", *show))
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["principal"] for row in rows} == {f"User:{user}" for user in USERS}


def test_inventory_may_not_write_what_payment_tells(stack: Stack) -> None:
    ran = stack.inside("inventory", "publish", "PaymentConfirmed", "--order-id", "order-9", "--example")
    assert_refused(ran, "User:inventory may not WRITE topic payments.events")


def test_inventory_may_not_read_what_payment_is_told(stack: Stack) -> None:
    assert_refused(
        stack.inside("inventory", "tail", "payments.commands"), "User:inventory may not READ topic payments.commands"
    )


def test_a_wrong_password_is_refused_and_not_repeated(stack: Stack) -> None:
    wrong = {"KAFKA_SASL_PASSWORD_FILE": "", "KAFKA_SASL_PASSWORD": "not-the-password"}
    ran = stack.inside("inventory", "topics", "list", **wrong)
    assert_refused(ran, "User:inventory may not log in to the cluster at kafka:19092")
    assert "not-the-password" not in ran.stderr


def test_each_container_has_its_own_password_and_no_other(stack: Stack) -> None:
    look = "import os; print(sorted(os.listdir('/secrets')))"
    for service in SERVICES:
        assert stack.execute(service, "python", "-c", look).stdout == "['ca.pem', 'password']\n"


def test_no_password_is_in_a_log_or_in_what_the_engine_tells(stack: Stack) -> None:
    output = stack.run("logs", "--no-color") + json.dumps([stack.containers(name) for name in ("kafka", *USERS)])
    passwords = {stack.execute(user, "cat", "/secrets/password").stdout.strip() for user in USERS}
    passwords.add(stack.administer("cat", "/secrets/admin.password").strip())
    assert len(passwords) == len(USERS) + 1
    assert not [password for password in passwords if password in output]
