"""Messages from the command line to their topics, as any well-behaved outsider would write them."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING

from ensemble.command_line.connection import say_waiting, sources
from ensemble.command_line.errors import Mistake
from ensemble.command_line.operators import VIA
from ensemble.command_line.selection import application
from ensemble.errors import OversizedOutput
from ensemble.kafka import Client, Outgoing, Receipt
from ensemble.messages import Message
from ensemble.waiting import wait_for

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient
    from ensemble.service.catalogue import Topic


def client_of(access: ClusterClient) -> Client:
    """Return a client that writes the messages of the catalogue, for a `with`."""
    return Client.over(access, application().catalogue, sources(), name=VIA)


def publish(access: ClusterClient, message: Message, topic: Topic | None = None) -> Receipt:
    """Write the message and return when it is safe. `topic` chooses where a type lives on several."""
    home = topic or application().catalogue.homes(type(message))[0]
    try:
        with client_of(access) as client:
            write = partial(client.write, [Outgoing(message, topic=home.name)])
            return wait_for(write, inf, lambda: "Kafka to acknowledge what was written", say_waiting)[0]
    except OversizedOutput as error:
        raise Mistake(str(error)) from None


def home_of(kind: type[Message], topic: str | None, *, force: bool) -> Topic:
    """Return the topic called so that carries the type, by default its first one.

    Raises Mistake if the type is not there; and unless forced for a fact of a ledger: written from outside it would
    leave a gap, and the service would stop at it.
    """
    homes = {home.name: home for home in application().catalogue.homes(kind)}
    if topic is not None and topic not in homes:
        raise Mistake(f"--topic {topic}: {kind.__name__} is not on this topic, but on {', '.join(homes)}")
    home = homes[topic] if topic is not None else next(iter(homes.values()))
    if not force and home.owner in application().services and home in application().make_service(home.owner).ledgers:
        raise Mistake(
            f"TYPE: {kind.__name__} is a fact of a ledger, which only {home.owner} writes; send it a command, "
            "or use --force to damage the ledger on purpose"
        )
    return home
