"""Ports that are chosen now and listened on later."""

import socket
import sys
from contextlib import closing

import pytest

from ensemble.free_ports import HOST, free_ports


def test_they_differ() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_server_may_listen_on_one_again_and_again() -> None:
    [port] = free_ports(1)
    for _ in range(2):
        with (
            closing(socket.create_server((HOST, port))) as server,
            closing(socket.create_connection((HOST, port))),
        ):
            server.accept()[0].close()


@pytest.mark.skipif(sys.platform != "linux", reason="reserved on Linux alone")
def test_nobody_else_is_given_one_meanwhile() -> None:
    [port] = free_ports(1)
    with closing(socket.socket()) as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, port))
