"""Messages from the command line to their topics, as any well-behaved outsider would write them."""

from __future__ import annotations

import time
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

from ensemble.command_line.connection import say_waiting, sources
from ensemble.command_line.errors import Mistake
from ensemble.command_line.selection import application
from ensemble.errors import OversizedOutput
from ensemble.kafka import Client, Outgoing, Receipt
from ensemble.messages import Envelope, Message, type_headers
from ensemble.waiting import wait_for

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient
    from ensemble.messages import Headers
    from ensemble.service import Topic

_NAME: Final = "cli"


def client_of(access: ClusterClient) -> Client:
    """Return a client that writes the messages of the catalogue, for a `with`."""
    return Client.over(access, application().catalogue, sources(), name=_NAME)


def publish(access: ClusterClient, message: Message, topic: Topic | None = None) -> Receipt:
    """Write the message and return when it is safe. `topic` chooses where a type lives on several."""
    home = topic or application().catalogue.homes(type(message))[0]
    try:
        with client_of(access) as client:
            write = partial(client.write, [Outgoing(message, topic=home.name)])
            return wait_for(write, inf, lambda: "Kafka to acknowledge what was written", say_waiting)[0]
    except OversizedOutput as error:
        raise Mistake(str(error)) from None


def headers_of(message: Message, message_id: str) -> Headers:
    """Return the headers of a message of the runtime's own, without a cause: it begins a trace."""
    return [*type_headers(type(message), f"/{_NAME}".encode()), *Envelope(message_id).headers_at(now())]


def now() -> int:
    """Return the time in epoch milliseconds."""
    return time.time_ns() // 1_000_000
