"""Both connections to a broker that is killed, restarts, and then has lost all its data."""

from __future__ import annotations

import pytest

from tests.support.waiting import wait_until
from tests.testbed.rabbitmq import RabbitMQ
from workers.broker.connection import BrokerUnavailable
from workers.broker.consumer import ConsumerLink, Delivery
from workers.broker.publisher import Publisher
from workers.broker.publisher_connection import OutboundMessage

QUEUE = "kyb.data8"


def test_link_and_publisher_recover_when_the_broker_is_killed_or_wiped(frail_rabbitmq: RabbitMQ) -> None:
    link = ConsumerLink(frail_rabbitmq.url, [QUEUE], prefetch=2)
    publisher = Publisher(frail_rabbitmq.url)
    link.start()
    assert link.consuming.wait(20)
    publisher.publish([message("A")])
    assert received(link).body == b"A"

    link.consuming.clear()
    frail_rabbitmq.sync()
    frail_rabbitmq.kill()
    with pytest.raises(BrokerUnavailable):
        publisher.publish([message("B")])
    frail_rabbitmq.start()
    assert link.consuming.wait(30)
    assert received(link).body == b"A"
    wait_until(lambda: published(publisher, "C"))
    assert received(link).body == b"C"

    link.consuming.clear()
    frail_rabbitmq.wipe()
    assert link.consuming.wait(30), "it declares its queue again"
    wait_until(lambda: published(publisher, "D"))
    assert received(link).body == b"D"
    link.stop()
    publisher.close()


def message(body: str) -> OutboundMessage:
    return OutboundMessage("", QUEUE, body.encode(), "application/json")


def received(link: ConsumerLink) -> Delivery:
    while (delivery := link.receive(QUEUE, timeout=20)) is None:
        pass
    return delivery


def published(publisher: Publisher, body: str) -> bool:
    """Return whether the message was confirmed: a node accepts connections before its queues are ready."""
    try:
        publisher.publish([message(body)])
    except BrokerUnavailable:
        return False
    return True
