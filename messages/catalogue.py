"""All commands and their queues."""

from __future__ import annotations

from messages import control, creditsafe, data8, portfolio, sayari
from messages.base import Command

#: By type.
COMMANDS: dict[str, type[Command]] = {
    command.type_: command
    for vendor in (creditsafe, data8, sayari, portfolio, control)
    for command in vendor.COMMANDS
}

#: The binding key of every queue on the exchange `kyb.commands`.
QUEUES: dict[str, str] = {
    "kyb.creditsafe": "creditsafe.#",
    "kyb.data8": "data8.#",
    "kyb.sayari": "sayari.#",
    "kyb.portfolio": "portfolio.#",
    "kyb.control": "job.#",
}
