"""The hand-off of turns and events from the dispatcher to RabbitMQ or to the embedded broker."""

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
    """Takes turns and events. All methods may raise `BrokerUnavailable`."""

    #: Whether its messages are lost when the process ends.
    is_volatile: bool

    def publish_turns(self, turns: Sequence[DueTurn]) -> None:
        """Publish turns; when this returns, they are stored."""

    def publish_events(self, events: Sequence[StoredEvent]) -> None:
        """Publish events; when this returns, they are stored."""

    def queue_depth(self, queue: str) -> int:
        """Return how many messages are ready in `queue`."""

    def unacked(self, seconds: float) -> list[tuple[str, int]]:
        """Return job id and turn of the turns that this process received more than `seconds` ago and has not settled."""


class RabbitHandoff:
    """Publishes turns to their queues and events to the exchange `kyb.events`, both with publisher confirms."""

    is_volatile = False

    def __init__(self, publisher: Publisher, unacked: UnackedTurns) -> None:
        self._publisher = publisher
        self._unacked = unacked

    def publish_turns(self, turns: Sequence[DueTurn]) -> None:
        """Publish turns to their queues."""
        self._publisher.publish(
            OutboundMessage("", due.queue, message.encode(), TURN, message.message_id)
            for due in turns
            for message in [turn_message(due.command, due.job_id, due.turn)]
        )

    def publish_events(self, events: Sequence[StoredEvent]) -> None:
        """Publish events to the exchange."""
        self._publisher.publish(
            OutboundMessage(topology.EVENTS, stored.type, stored.body.encode(), CLOUD_EVENT, stored.id)
            for stored in events
        )

    def queue_depth(self, queue: str) -> int:
        """Return how many messages are ready, as RabbitMQ counts them."""
        return self._publisher.queue_depth(queue)

    def unacked(self, seconds: float) -> list[tuple[str, int]]:
        """Return the unacked turns of this process's consumers."""
        return self._unacked.older_than(seconds)


class EmbeddedHandoff:
    """Puts turns into the queues of this process; `kyb events tail` reads the events from the ledger."""

    is_volatile = True

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker

    def publish_turns(self, turns: Sequence[DueTurn]) -> None:
        """Put turns into their queues."""
        for due in turns:
            message = turn_message(due.command, due.job_id, due.turn)
            self._broker.unacked.add(message)
            self._broker.enqueue(message)

    def publish_events(self, events: Sequence[StoredEvent]) -> None:
        """Do nothing: the events are in the ledger."""

    def queue_depth(self, queue: str) -> int:
        """Return how many messages are in the queue."""
        return int(self._broker.queues[queue].qsize())

    def unacked(self, seconds: float) -> list[tuple[str, int]]:
        """Return the unacked turns of this process."""
        return self._broker.unacked.older_than(seconds)
