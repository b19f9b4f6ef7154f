"""Duplicates of commands and turns."""

from __future__ import annotations

import json
import threading

import pika

from tests.chaos.trial import Situation
from tests.chaos.work import Task


def everything_five_times(now: Situation) -> None:
    """Publish each command five times over five connections, then with other data, and turns never dispatched."""
    publishers = [
        threading.Thread(target=_repeat, args=(now.installation.amqp_url, now.tasks)) for _ in range(5)
    ]
    for publisher in publishers:
        publisher.start()
    for publisher in publishers:
        publisher.join()
    conflicts = [_conflicting(task) for task in now.tasks]
    _repeat(now.installation.amqp_url, conflicts)
    now.notes.append(f"{len(conflicts)} more with other data, rejected")


def _conflicting(task: Task) -> Task:
    """Return another command with the same id and queue: it follows the first one, so it is the one to be rejected."""
    match task.type.partition(".")[0]:
        case "creditsafe":
            return Task(task.id, "creditsafe.delete_portfolio", {"portfolio_id": "other"})
        case "data8":
            return Task(task.id, "data8.delete_dataset", {"dataset": "other"})
        case "sayari":
            return Task(task.id, "sayari.collect_changes", {"project_id": "other"})
        case _:
            return Task(task.id, task.type, task.data | {"name": "other"})


def _repeat(url: str, tasks: list[Task]) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    persistent = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    for task in tasks:
        channel.basic_publish("kyb.commands", task.type, task.body, persistent)
        for turn in range(1, 6):
            body = json.dumps({"turn": turn, "job_id": task.id, "type": task.type}).encode()
            channel.basic_publish("", f"kyb.{task.type.partition('.')[0]}", body, persistent)
        connection.process_data_events(0)
    connection.close()
