"""The scenario of every command that calls vendors, loaded from `tests/commands` by the command's type."""

from __future__ import annotations

from importlib import import_module

from messages.catalogue import COMMANDS
from messages.control import COMMANDS as CONTROL
from tests.support.scenario import Scenario


def load_scenario(type: str) -> Scenario:
    """Return `SCENARIO` of the module `tests.commands.<type>`.

    Raises:
        LookupError: there is none.
    """
    module = f"tests.commands.{type}"
    try:
        scenario = import_module(module).SCENARIO
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        path = module.replace(".", "/")
        raise LookupError(f"no scenario for {type}: write {path}.py with a SCENARIO") from None
    assert isinstance(scenario, Scenario)
    assert scenario.type == type, f"{module} is about {scenario.type}"
    return scenario


#: By command type. Commands about other jobs (`job.…`) call no vendor and have none.
SCENARIOS: dict[str, Scenario] = {
    type: load_scenario(type) for type in COMMANDS if type not in {command.type_ for command in CONTROL}
}
