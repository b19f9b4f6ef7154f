"""Where the dispatcher hands turns and events to: RabbitMQ, or the embedded broker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from workers.broker import topology
from workers.broker.dramatiq import EmbeddedBroker, UnackedTurns
from workers.broker.encoder import turn_message
from workers.broker.publisher import CLOUD_EVENT, TURN, Publisher
from workers.broker.publisher_connection import OutboundMessage
from workers.ledger.records import DueTurn, StoredEvent


class Handoff(Protocol):
    """What takes turns and events. All methods may raise `BrokerUnavailable`."""

    #: Whether it forgets what it was handed when its process ends.
    is_volatile: bool

    def turns(self, turns: Sequence[DueTurn]) -> None:
        """Hand out turns; when this returns they are stored."""

    def events(self, events: Sequence[StoredEvent]) -> None:
        """Tell events; when this returns they are stored."""

    def waiting(self, queue: str) -> int:
        """How many messages wait in `queue`."""

    def unacked(self, seconds: float) -> list[tuple[str, int]]:
        """Job and turn of messages that this process was given so many seconds ago and has not done with."""


class RabbitHandoff:
    """RabbitMQ: turns go straight to their queue, events to the exchange `kyb.events`."""

    is_volatile = False

    def __init__(self, publisher: Publisher, in_hand: UnackedTurns) -> None:
        self._publisher = publisher
        self._in_hand = in_hand

    def turns(self, turns: Sequence[DueTurn]) -> None:
        """Publish turns with confirms."""
        self._publisher.publish(
            OutboundMessage("", due.queue, message.encode(), TURN, message.message_id)
            for due in turns
            for message in [turn_message(due.command, due.job_id, due.turn)]
        )

    def events(self, events: Sequence[StoredEvent]) -> None:
        """Publish events with confirms."""
        self._publisher.publish(
            OutboundMessage(topology.EVENTS, stored.type, stored.body.encode(), CLOUD_EVENT, stored.id)
            for stored in events
        )

    def waiting(self, queue: str) -> int:
        """As RabbitMQ counts them."""
        return self._publisher.ready(queue)

    def unacked(self, seconds: float) -> list[tuple[str, int]]:
        """By the consumers of this process."""
        return self._in_hand.older_than(seconds)


class EmbeddedHandoff:
    """Queues in this process; events stay in the ledger, where `kyb events tail` reads them."""

    is_volatile = True

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker

    def turns(self, turns: Sequence[DueTurn]) -> None:
        """Put turns into their queues."""
        for due in turns:
            message = turn_message(due.command, due.job_id, due.turn)
            self._broker.unacked.add(message)
            self._broker.enqueue(message)

    def events(self, events: Sequence[StoredEvent]) -> None:
        """Nothing to do: the ledger has them."""

    def waiting(self, queue: str) -> int:
        """Messages not yet taken."""
        return int(self._broker.queues[queue].qsize())

    def unacked(self, seconds: float) -> list[tuple[str, int]]:
        """All that were handed over."""
        return self._broker.unacked.older_than(seconds)
