"""A broker that is killed, comes back, and then has lost all it had: what both of our connections make of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.testbed.rabbitmq import RabbitMQ
from workers.broker.connection import BrokerUnavailable
from workers.broker.consumer import ConsumerLink, Delivery
from workers.broker.publisher import Publisher
from workers.broker.publisher_connection import OutboundMessage

QUEUE = "kyb.data8"


def test_link_and_publisher_outlive_the_broker(frail_rabbitmq: RabbitMQ) -> None:
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
    eventually(lambda: publisher.publish([message("C")]))
    assert received(link).body == b"C"

    link.consuming.clear()
    frail_rabbitmq.wipe()
    assert link.consuming.wait(30), "it declares its queue again"
    eventually(lambda: publisher.publish([message("D")]))
    assert received(link).body == b"D"
    link.stop()
    publisher.close()


def message(body: str) -> OutboundMessage:
    return OutboundMessage("", QUEUE, body.encode(), "application/json")


def received(link: ConsumerLink) -> Delivery:
    while (delivery := link.receive(QUEUE, timeout=20)) is None:
        pass
    return delivery


def eventually(act: Callable[[], None]) -> None:
    """A node takes connections before its queues are there, and tells nobody when they are."""
    deadline = time.monotonic() + 20
    while True:
        try:
            act()
        except BrokerUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return
