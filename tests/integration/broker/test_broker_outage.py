"""The consumer and the publisher while the broker is killed, restarted and wiped."""

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


def test_consumer_and_publisher_recover_when_the_broker_restarts(frail_rabbitmq: RabbitMQ) -> None:
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
    assert link.consuming.wait(30), "the consumer declares its queue again"
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


def eventually(publish: Callable[[], None]) -> None:
    """Retry: a node accepts connections before its queues are available, and has no event for that."""
    deadline = time.monotonic() + 20
    while True:
        try:
            publish()
        except BrokerUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return
