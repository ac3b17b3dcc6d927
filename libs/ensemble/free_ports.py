"""Reserves loopback ports for processes that will listen on them later."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from typing import Final

HOST: Final = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return different loopback ports on which nobody listens.

    On Linux they stay reserved until this process ends: the kernel gives them to nobody who asks for any port, nor to
    a connection, while a server that names one of them (and sets SO_REUSEADDR, as servers do) may listen on it.
    """
    with ExitStack() as stack:
        reserved = [stack.enter_context(_reserve()) for _ in range(count)]
        ports = [int(each.getsockname()[1]) for each in reserved]
        if sys.platform == "linux":
            stack.pop_all()
            for each in reserved:
                each.detach()
    return ports


def _reserve() -> socket.socket:
    """Return a socket that has a port and does not listen; only then others may share the port."""
    reserved = socket.socket()
    try:
        reserved.bind((HOST, 0))
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except BaseException:
        reserved.close()
        raise
    return reserved
