"""Tests of the servers that the tests run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import psycopg
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ, Vhosts

BODY = b"confirmed"


@contextmanager
def channel(url: str) -> Iterator[BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        if connection.is_open:
            connection.close()


def publish(url: str) -> None:
    """Publish one persistent message to the quorum queue `kept`, with confirmation."""
    with channel(url) as broker:
        broker.queue_declare("kept", durable=True, arguments={"x-queue-type": "quorum"})
        broker.confirm_delivery()
        broker.basic_publish("", "kept", BODY, pika.BasicProperties(delivery_mode=2), mandatory=True)


def consume(url: str) -> bytes | None:
    with channel(url) as broker:
        _, _, body = next(broker.consume("kept", auto_ack=True, inactivity_timeout=20))
        assert body is None or isinstance(body, bytes)
        return body


def test_message_is_consumed_when_it_was_published(amqp_url: str) -> None:
    publish(amqp_url)
    assert consume(amqp_url) == BODY


def test_queue_is_missing_when_declared_in_another_virtual_host(
    amqp_url: str, virtual_hosts: RabbitMQ | Vhosts
) -> None:
    other = virtual_hosts.fresh_url()
    publish(amqp_url)
    with channel(other) as broker, pytest.raises(ChannelClosedByBroker, match="no queue 'kept'"):
        broker.queue_declare("kept", passive=True)
    virtual_hosts.drop(other)


def test_connection_fails_when_the_broker_closes_it(amqp_url: str, rabbitmq: RabbitMQ) -> None:
    with channel(amqp_url) as broker:
        rabbitmq.close_all_connections()
        with pytest.raises(ConnectionClosedByBroker):
            broker.queue_declare("never")


def test_database_is_empty_when_fresh(empty_postgres_url: str) -> None:
    with psycopg.connect(empty_postgres_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)


def test_databases_stay_separate_when_postgresql_is_killed(postgres_url: str, postgres: Postgres) -> None:
    other = postgres.fresh_url()
    with psycopg.connect(other) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    postgres.kill()
    postgres.start()
    with psycopg.connect(other) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    with psycopg.connect(postgres_url) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT one FROM kept")
    postgres.drop(other)


def test_server_ends_and_its_folder_is_removed_when_the_tests_are_killed(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    script = (
        "import sys; from tests.testbed.server import Server; server = Server('guarded');"
        "server.launch(['sh', '-c', f'exec sleep 300 > {sys.argv[1]}'], {});"
        "print(server.folder, flush=True); sys.stdin.read()"
    )
    tests = subprocess.Popen(
        [sys.executable, "-c", script, alive],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    with tests, alive.open("rb") as pipe:  # opens once the server has opened its end
        assert tests.stdout is not None
        folder = Path(tests.stdout.readline().decode().strip())
        assert folder.is_dir()
        tests.kill()
        assert pipe.read() == b""  # the server has ended
        assert tests.stdout.read() == b""  # so has its guard, which shares this pipe
    assert not folder.exists()
