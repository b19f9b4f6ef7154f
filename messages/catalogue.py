"""All commands, by type."""

from __future__ import annotations

from messages.base import Command
from messages.control import CancelJob, RetryJob
from messages.creditsafe import ImportFile, RunMatching
from messages.data8 import StartJob
from messages.sayari import ResolveEntities

COMMANDS: dict[str, type[Command]] = {
    command.type_: command
    for command in (ImportFile, RunMatching, StartJob, ResolveEntities, CancelJob, RetryJob)
}

#: The binding key of every queue on the exchange `kyb.commands`.
QUEUES: dict[str, str] = {
    "kyb.creditsafe": "creditsafe.#",
    "kyb.data8": "data8.#",
    "kyb.sayari": "sayari.#",
    "kyb.portfolio": "portfolio.#",
    "kyb.control": "job.#",
}
