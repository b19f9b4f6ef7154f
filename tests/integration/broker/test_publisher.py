"""Publishing with publisher confirms, with a real RabbitMQ."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pika
import pytest

from tests.testbed.rabbitmq import RabbitMQ
from workers.broker.connection import BrokerUnavailable, open_connection
from workers.broker.publisher import CLOUD_EVENT, Publisher
from workers.broker.publisher_connection import OutboundMessage
from workers.broker.topology import EVENT_LOG, EVENTS, UNROUTABLE


@pytest.fixture
def publisher(amqp_url: str) -> Iterator[Publisher]:
    publisher = Publisher(amqp_url)
    yield publisher
    publisher.close()


def event(key: str = "data8.start_job.completed") -> OutboundMessage:
    return OutboundMessage(EVENTS, key, b"{}", CLOUD_EVENT, "id-1", {"x-kyb-reason": "none"})


def test_publisher_publishes_events_to_the_stream(publisher: Publisher, amqp_url: str) -> None:
    publisher.publish([event(), event("sayari.resolve_entities.failed")])
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=10)
    received = []
    for method, properties, _ in channel.consume(
        EVENT_LOG, arguments={"x-stream-offset": "first"}, inactivity_timeout=20
    ):
        assert method is not None
        received.append(
            (method.routing_key, properties.message_id, properties.content_type, properties.delivery_mode)
        )
        channel.basic_ack(method.delivery_tag)
        if len(received) == 2:
            break
    connection.close()
    assert received == [
        ("data8.start_job.completed", "id-1", CLOUD_EVENT, 2),
        ("sayari.resolve_entities.failed", "id-1", CLOUD_EVENT, 2),
    ]


def test_unroutable_command_is_kept(publisher: Publisher) -> None:
    publisher.publish([OutboundMessage("kyb.commands", "unknown.type", b"{}", CLOUD_EVENT)])
    assert publisher.queue_depth(UNROUTABLE) == 1


def test_publisher_loses_no_confirmed_message_when_connections_are_cut(
    publisher: Publisher, rabbitmq: RabbitMQ
) -> None:
    letters = [OutboundMessage("", "kyb.data8.dead", b"x" * 1000, CLOUD_EVENT)] * 300
    sent = failed = 0
    publisher.publish(letters)
    with ThreadPoolExecutor() as threads:
        while not failed or sent < 3:
            cut = threads.submit(rabbitmq.close_all_connections)
            while not cut.done():
                try:
                    publisher.publish(letters)
                except BrokerUnavailable:
                    failed += 1
                else:
                    sent += 1
    assert publisher.queue_depth("kyb.data8.dead") >= 300 * (sent + 1)


def test_batch_fails_when_no_queue_takes_a_message(publisher: Publisher) -> None:
    with pytest.raises(BrokerUnavailable, match="no queue"):
        publisher.publish([event(), OutboundMessage("", "no-such-queue", b"{}", CLOUD_EVENT), event()])
    publisher.publish([event()])


def test_publisher_recovers_when_a_queue_does_not_exist(publisher: Publisher) -> None:
    with pytest.raises(BrokerUnavailable):
        publisher.queue_depth("no-such-queue")
    assert publisher.queue_depth("kyb.data8") == 0


def test_connection_uses_any_node_that_answers(amqp_url: str) -> None:
    connection = open_connection(f"amqp://guest:guest@127.0.0.1:1/;{amqp_url}", "test")
    connection.close()
    with pytest.raises(BrokerUnavailable, match="cannot reach RabbitMQ"):
        open_connection("amqp://guest:guest@127.0.0.1:1/", "test")


def test_publisher_is_shared_by_threads(publisher: Publisher) -> None:
    threads = [threading.Thread(target=publisher.publish, args=([event()] * 20,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert publisher.queue_depth("kyb.data8") == 0
