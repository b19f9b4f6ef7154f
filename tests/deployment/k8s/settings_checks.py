"""Checks of the settings and commands in manifests and compose.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.deployment.k8s.manifests import Document, of_kind, pods, references
from workers.cli.main import COMMANDS
from workers.settings import Settings


def settings_problems(documents: list[Document]) -> Iterator[str]:
    maps = {d["metadata"]["name"]: d.get("data", {}) for d in of_kind(documents, "ConfigMap")}
    for each in pods(documents):
        for container in each.containers:
            own = {e["name"]: e.get("value") for e in container.get("env", [])}
            named = {k: v for kind, name, _ in references(each.spec) if kind == "ConfigMap" for k, v in maps.get(name, {}).items()}  # fmt: skip
            for problem in unknown({k: v for k, v in (named | own).items() if k.startswith("KYB_")}):
                yield f"{each.name}: {problem}"
            if "kyb-workers" in container["image"]:
                words = [*container.get("args", []), *container.get("command", [])]
                if not words or words[0] not in COMMANDS:
                    yield f"{each.name}: kyb {' '.join(words)} does not exist"


def rate_problems(documents: list[Document]) -> Iterator[str]:
    """Yield each rate limit that differs between workers, or that the dispatcher, which enforces it, lacks."""
    rates: dict[str, dict[str, str]] = {}
    for deployment in of_kind(documents, "Deployment"):
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            for variable in container.get("env", []):
                if "__RATE" in variable["name"]:
                    rates.setdefault(variable["name"], {})[deployment["metadata"]["name"]] = variable["value"]
    for name, values in rates.items():
        if len(set(values.values())) != 1 or "kyb-dispatcher" not in values:
            yield f"{name} differs between workloads: {values}"


def unknown(variables: dict[str, Any]) -> Iterator[str]:
    """Yield each variable that is not a setting, or whose value the settings reject."""
    for variable, value in variables.items():
        model: Any = Settings
        for part in variable.removeprefix("KYB_").lower().split("__"):
            field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
            if field is None:
                yield f"{variable} is not a setting"
                break
            kinds = getattr(field.annotation, "__args__", (field.annotation,))
            model = next((kind for kind in kinds if hasattr(kind, "model_fields")), field)
        else:
            area, _, name = variable.removeprefix("KYB_").lower().partition("__")
            owner = Settings.model_fields[area].annotation
            owner = next(
                (k for k in getattr(owner, "__args__", (owner,)) if hasattr(k, "model_fields")), None
            )
            if owner is not None and name and value is not None:
                try:
                    owner.__pydantic_validator__.validate_assignment(owner.model_construct(), name, value)
                except ValueError as error:
                    yield f"{variable}: {str(error).splitlines()[-2].strip()}"
