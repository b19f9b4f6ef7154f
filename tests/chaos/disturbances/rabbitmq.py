"""Disturbances of RabbitMQ."""

from __future__ import annotations

import time

import pika

from tests.chaos.disturbances.repeat import every
from tests.chaos.trial import Situation
from tests.testbed.rabbitmq import RabbitMQ


def restarted(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.rabbitmq.restart()


def killed(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.rabbitmq.kill()
    now.installation.rabbitmq.start()


def unavailable(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.rabbitmq.stop()
    time.sleep(now.length)
    now.installation.rabbitmq.start()


def nodes_killed(now: Situation) -> None:
    """Kill the node that the workers consume from, then the leader of their queues, then the third node."""
    cluster = now.installation.cluster
    time.sleep(1.5)
    first = cluster.node_of_connection("kyb-workers consumer")
    _kill_and_restart(now, first)
    second = cluster.leader("kyb.data8")
    _kill_and_restart(now, second)
    _kill_and_restart(now, next(node for node in cluster.nodes if node not in {first, second}))


def _kill_and_restart(now: Situation, node: RabbitMQ) -> None:
    node.kill()
    now.again()
    time.sleep(2.0)
    node.start()


def huge_bodies(now: Situation) -> None:
    """Publish the largest messages that RabbitMQ accepts: 128 MiB by default, 16 MiB from version 4 on."""
    is_version_3 = now.installation.rabbitmq.ctl("version").startswith("3.")
    sizes = [16 << 20] * 4 + [(128 << 20) - 1024] * (2 if is_version_3 else 0)
    connection = pika.BlockingConnection(pika.URLParameters(now.installation.amqp_url))
    channel = connection.channel()
    channel.confirm_delivery()
    persistent = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    for size in sizes:
        channel.basic_publish("kyb.commands", "data8.start_job", b"[" * size, persistent, mandatory=True)
        now.noise += 1
    connection.close()
    time.sleep(2.0)
    now.notes.append(f"at most {now.installation.workers.peak_memory()} MiB in one worker")


def out_of_memory(now: Situation) -> None:
    time.sleep(1.0)
    now.installation.rabbitmq.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
    time.sleep(now.length)
    now.installation.rabbitmq.ctl("set_vm_memory_high_watermark", "absolute", "512MB")


def hung(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.rabbitmq.freeze()
    time.sleep(10.0)
    now.installation.rabbitmq.thaw()


def connections_closed_every_second(now: Situation) -> None:
    every(1.0, now.length, lambda _: now.installation.rabbitmq.close_all_connections())


def wiped(now: Situation) -> None:
    time.sleep(3.0)
    now.installation.rabbitmq.wipe()
