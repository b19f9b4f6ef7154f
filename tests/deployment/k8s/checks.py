"""Checks of rendered manifests, also for mistakes that an API server accepts and that show only in an incident."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

from tests.deployment.k8s.manifests import Document, title
from tests.deployment.k8s.network_checks import disruption_budget_problems, network_problems, service_problems
from tests.deployment.k8s.pod_checks import pod_problems
from tests.deployment.k8s.scaling_checks import queue_problems, scaling_problems
from tests.deployment.k8s.settings_checks import rate_problems, settings_problems

#: Version of Kubernetes whose schemas apply.
KUBERNETES_VERSION = "1.34"
_SCHEMAS = Path(__file__).with_name("schemas")


def problems(documents: list[Document]) -> list[str]:
    """Return one line per problem. If a schema finds one, skip the other checks."""
    lines = [*_schemas(documents)]
    if not lines:
        for check in (
            _names, pod_problems, settings_problems, rate_problems, disruption_budget_problems, network_problems, service_problems,
            scaling_problems, queue_problems,
        ):  # fmt: skip
            lines += check(documents)
    return lines


def _schemas(documents: list[Document]) -> Iterator[str]:
    for document in documents:
        problem = _invalid(json.dumps(document))
        if problem is not None:
            yield f"{title(document)}: {problem}"


@functools.cache
def _invalid(text: str) -> str | None:
    document = json.loads(text)
    own = _SCHEMAS / f"{document.get('kind')}.json"
    try:
        if own.exists():
            jsonschema.validate(document, json.loads(own.read_text()))
        else:
            kubernetes_validate.validate(document, KUBERNETES_VERSION, strict=True)
    except jsonschema.ValidationError as error:
        return f"{error.json_path}: {error.message[:200]}"
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return str(error)[:200]
    return None


def _names(documents: list[Document]) -> Iterator[str]:
    for name, count in Counter(map(title, documents)).items():
        if count > 1:
            yield f"{name} occurs {count} times"
    spaces = {d["metadata"].get("namespace") for d in documents if d["kind"] != "Namespace"}
    if len(spaces) > 1:
        yield f"several namespaces: {sorted(map(str, spaces))}"
    for document in documents:
        for image in _images(document):
            _, _, tag = image.rpartition("/")[2].partition(":")
            if tag in {"", "latest"}:
                yield f"{title(document)}: {image} has no version"


def _images(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("image"), str):
            yield node["image"]
        for value in node.values():
            yield from _images(value)
    elif isinstance(node, list):
        for value in node:
            yield from _images(value)
