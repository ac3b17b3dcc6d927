"""Asks a broker for its cluster, in the plain protocol: ready means that it answers with a live broker."""

import socket
import struct

LIMIT_S = 2.0
"""The port of this machine takes a connection at once, or nobody listens."""
# Metadata, version 4, correlation id 1, client id "ensemble", no topics, no auto-create.
_BODY = struct.pack(">hhih8sib", 3, 4, 1, 8, b"ensemble", 0, 0)
_REQUEST = struct.pack(">i", len(_BODY)) + _BODY


def cluster_at(host: str, port: int, answer_s: float = LIMIT_S) -> str | None:
    """Return the id of the cluster that answers there with at least one live broker, else None after `answer_s`."""
    try:
        with socket.create_connection((host, port), timeout=LIMIT_S) as connection:
            connection.settimeout(answer_s)
            connection.sendall(_REQUEST)
            (size,) = struct.unpack(">i", _exactly(4, connection))
            return _cluster_in(_exactly(min(size, 1_000_000), connection))
    except (OSError, struct.error, UnicodeDecodeError):
        return None


def _exactly(count: int, connection: socket.socket) -> bytes:
    received = b""
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            raise ConnectionResetError
        received += part
    return received


def _cluster_in(answer: bytes) -> str | None:
    brokers, offset = struct.unpack_from(">i", answer, 8)[0], 12
    for _ in range(brokers):
        _, after_host = _text(answer, offset + 4)  # past the node id
        _, offset = _text(answer, after_host + 4)  # past the port: the rack
    cluster, _ = _text(answer, offset)
    return cluster if brokers else None


def _text(answer: bytes, offset: int) -> tuple[str, int]:
    (size,) = struct.unpack_from(">h", answer, offset)  # -1 of a text that is not there
    start = offset + 2
    end = start + max(size, 0)
    return answer[start:end].decode(), end
