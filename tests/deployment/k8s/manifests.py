"""Rendered manifests, and queries that the checks share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
Document = dict[str, Any]

#: Kinds that create pods.
WORKLOADS = ("Deployment", "StatefulSet", "Job")


def rendered(folder: str) -> list[Document]:
    """Return the documents that `kubectl apply -k k8s/<folder>` would send."""
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run(
        [kubectl, "kustomize", ROOT / "k8s" / folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@dataclass(frozen=True)
class Pods:
    """The pods of one workload: spec and labels of their template, or those that an operator creates."""

    name: str
    kind: str
    labels: dict[str, str]
    spec: Document
    workload: Document = field(repr=False)

    @property
    def containers(self) -> list[Document]:
        """All containers, init containers first."""
        return [*self.spec.get("initContainers", []), *self.spec.get("containers", [])]

    def ports(self) -> set[str | int]:
        """Return the names and numbers of the declared ports."""
        declared = [port for each in self.containers for port in each.get("ports", [])]
        return {p[key] for p in declared for key in ("name", "containerPort") if key in p}

    def secrets(self) -> set[str]:
        """Return the names of the mounted Secrets."""
        return {name for kind, name, _ in references(self.spec) if kind == "Secret"}


def of_kind(documents: list[Document], *kinds: str) -> list[Document]:
    """Return the documents of these kinds."""
    return [document for document in documents if document.get("kind") in kinds]


def title(document: Document) -> str:
    """Return kind and name of a document, as problems name it."""
    return f"{document.get('kind')}/{document.get('metadata', {}).get('name')}"


def pods(documents: list[Document]) -> list[Pods]:
    """Return the pods of all workloads."""
    workloads = []
    for workload in of_kind(documents, *WORKLOADS):
        template = workload["spec"].get("template", {})
        labels = template.get("metadata", {}).get("labels", {})
        workloads.append(Pods(title(workload), workload["kind"], labels, template.get("spec", {}), workload))
    for cluster in of_kind(documents, "RabbitmqCluster"):
        # The labels that the operator sets.
        labels = {"app.kubernetes.io/name": cluster["metadata"]["name"]}
        workloads.append(Pods(title(cluster), cluster["kind"], labels, {}, cluster))
    return workloads


def selects(selector: Document | None, labels: dict[str, str]) -> bool:
    """Return whether a selector by `matchLabels` selects these labels; an empty one selects all."""
    wanted = (selector or {}).get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items())


def references(spec: Document) -> Iterator[tuple[str, str, list[str]]]:  # noqa: C901, PLR0912 - a list
    """Yield kind, name and required keys of every resource that a pod's spec refers to."""
    if "serviceAccountName" in spec:
        yield "ServiceAccount", spec["serviceAccountName"], []
    for container in spec.get("containers", []):
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                yield "ConfigMap", source["configMapRef"]["name"], []
            if "secretRef" in source:
                yield "Secret", source["secretRef"]["name"], []
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                yield "Secret", reference["name"], [reference["key"]]
    for volume in spec.get("volumes", []):
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], []
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"], []
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"], []
        for source in volume.get("projected", {}).get("sources", []):
            if "secret" in source:
                keys = [item["key"] for item in source["secret"].get("items", [])]
                yield "Secret", source["secret"]["name"], keys


def keys_of(documents: list[Document], kind: str, name: str) -> set[str] | None:
    """Return the keys of a ConfigMap or Secret, None if it is missing. An ExternalSecret creates its target."""
    for document in of_kind(documents, kind):
        if document["metadata"]["name"] == name:
            return {*document.get("data", {}), *document.get("stringData", {})}
    if kind == "Secret":
        for document in of_kind(documents, "ExternalSecret"):
            if document["spec"].get("target", {}).get("name") == name:
                return {entry["secretKey"] for entry in document["spec"].get("data", [])}
    return None
