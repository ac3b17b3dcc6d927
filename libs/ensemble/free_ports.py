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
        reserved = [stack.enter_context(socket.socket()) for _ in range(count)]
        ports = [_reserve_port(each) for each in reserved]
        if sys.platform == "linux":
            stack.pop_all()
            for each in reserved:
                each.detach()
    return ports


def _reserve_port(unused: socket.socket) -> int:
    """Give a socket a port, and do not listen: only then others may share the port."""
    unused.bind((HOST, 0))
    unused.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return int(unused.getsockname()[1])
