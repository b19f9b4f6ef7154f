"""The consuming connection, against a real RabbitMQ that closes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.testbed.rabbitmq import RabbitMQ
from workers.broker import topology
from workers.broker.consumer import ConsumerLink, Delivery

QUEUE = "kyb.data8"


@contextmanager
def channel_to(url: str) -> Iterator[BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        connection.close()


@pytest.fixture
def link(amqp_url: str) -> Iterator[ConsumerLink]:
    link = ConsumerLink(amqp_url, [QUEUE], prefetch=2)
    link.start()
    assert link.consuming.wait(20)
    yield link
    link.stop()


def publish(url: str, *bodies: str) -> None:
    with channel_to(url) as channel:
        channel.confirm_delivery()
        for body in bodies:
            channel.basic_publish(
                "", QUEUE, body.encode(), pika.BasicProperties(delivery_mode=2), mandatory=True
            )


def receive(link: ConsumerLink) -> Delivery:
    while (delivery := link.receive(QUEUE, timeout=20)) is None:
        pass
    return delivery


def ready_bodies(url: str) -> list[str]:
    """Return the bodies of the ready messages, which go back to the queue."""
    bodies: list[str] = []
    with channel_to(url) as channel:
        while True:
            method, _, body = channel.basic_get(QUEUE)
            if method is None:
                return bodies
            bodies.append(body.decode())


def test_consumer_settles_no_other_message_when_the_connection_was_lost(
    link: ConsumerLink, rabbitmq: RabbitMQ, amqp_url: str
) -> None:
    # A and B are unacked when the connection is closed; the link reconnects.
    publish(amqp_url, "A", "B")
    old = [receive(link), receive(link)]
    link.consuming.clear()
    rabbitmq.close_all_connections()
    assert link.consuming.wait(20)
    # On the new channel, tags 1 and 2 belong to other deliveries.
    new = [receive(link), receive(link)]
    assert [d.tag for d in new] == [d.tag for d in old]
    publish(amqp_url, "C")
    link.acknowledge(old[0])
    link.requeue(old[1])
    link.acknowledge(new[0])  # the only settlement that has an effect
    assert receive(link).body == b"C"
    link.stop()
    assert sorted(ready_bodies(amqp_url)) == sorted([new[1].body.decode(), "C"])


def test_consumer_receives_a_message_again_when_it_was_requeued(link: ConsumerLink, amqp_url: str) -> None:
    publish(amqp_url, "A", "B")
    link.acknowledge(receive(link))
    second = receive(link)
    link.requeue(second)
    again = receive(link)
    assert (again.body, again.redelivered) == (b"B", True)
    assert again.headers["x-delivery-count"] == 1
    link.acknowledge(again)
    link.stop()
    assert ready_bodies(amqp_url) == []


def test_message_is_dead_lettered_when_it_exceeds_the_delivery_limit(
    link: ConsumerLink, amqp_url: str
) -> None:
    publish(amqp_url, "poison")
    for _ in range(topology.DELIVERY_LIMIT + 1):
        link.requeue(receive(link))
    with channel_to(amqp_url) as channel:
        for method, properties, body in channel.consume(
            topology.dead_letter_queue(QUEUE), inactivity_timeout=20
        ):
            assert method is not None
            assert body == b"poison"
            assert properties.headers["x-death"][0]["reason"] == "delivery_limit"
            break
