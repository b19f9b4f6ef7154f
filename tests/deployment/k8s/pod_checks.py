"""Checks of pods: their references, privileges, probes, shutdown and resources."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.deployment.k8s.manifests import (
    WORKLOADS,
    Document,
    Pods,
    keys_of,
    of_kind,
    pods,
    references,
    selects,
)
from workers.engine.supervisor import KILL_MARGIN_SECONDS
from workers.settings import parse_duration

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|Ki|Mi|Gi|Ti|k|M|G|T|)")
_FACTORS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}  # fmt: skip


def pod_problems(documents: list[Document]) -> Iterator[str]:
    for each in pods(documents):
        if each.kind in WORKLOADS:
            for problem in (*_linked(each, documents), *_restricted(each), *_lively(each, documents)):
                yield f"{each.name}: {problem}"


def _linked(each: Pods, documents: list[Document]) -> Iterator[str]:  # noqa: C901 - a list
    selector = each.workload["spec"].get("selector")
    if each.kind != "Job" and not (selector or {}).get("matchLabels"):
        yield "selects nothing"
    if selector and not selects(selector, each.labels):
        yield "does not select its own pods"
    for kind, name, keys in references(each.spec):
        if kind in {"ConfigMap", "Secret"}:
            there = keys_of(documents, kind, name)
            if there is None:
                yield f"{kind} {name} is missing"
            elif not there >= set(keys):
                yield f"{kind} {name} has no {sorted(set(keys) - there)}"
        elif not any(d["metadata"]["name"] == name for d in of_kind(documents, kind)):
            yield f"{kind} {name} is missing"
    claims = {c["metadata"]["name"] for c in each.workload["spec"].get("volumeClaimTemplates", [])}
    volumes = {volume["name"] for volume in each.spec.get("volumes", [])} | claims
    mounted = {mount["name"] for c in each.containers for mount in c.get("volumeMounts", [])}
    if volumes != mounted:
        yield f"volumes and mounts differ in {sorted(volumes ^ mounted)}"
    for spread in each.spec.get("topologySpreadConstraints", []):
        wanted = spread.get("labelSelector", {})
        if not wanted.get("matchLabels") or not selects(wanted, each.labels):
            yield "spreads over the pods of other workloads"


def _restricted(each: Pods) -> Iterator[str]:  # noqa: C901 - a list
    spec = each.spec
    context = spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if spec.get("automountServiceAccountToken") is not False:
        yield "gets a Kubernetes token"
    if spec.get("enableServiceLinks") is not False:
        yield "gets the variables of services, which may collide with settings"
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares a namespace of the host"
    if any("hostPath" in volume for volume in spec.get("volumes", [])):
        yield "mounts the host's disk"
    for container in each.containers:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield "may escalate privileges"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("capabilities", {}).get("add"):
            yield "has capabilities"
        if own.get("readOnlyRootFilesystem") is not True:
            yield "may write to its root file system"


def _lively(each: Pods, documents: list[Document]) -> Iterator[str]:
    spec = each.spec
    for container in each.containers:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            settings = container.get(probe)
            if settings is None and each.kind != "Job":
                yield f"has no {probe}"
            target = (settings or {}).get("httpGet") or (settings or {}).get("tcpSocket")
            if target and target["port"] not in each.ports():
                yield f"{probe} uses port {target['port']}, which is not declared"
        if "workers" in container["image"] and container.get("args", [""])[0] == "worker":
            paths = [
                container[p]["httpGet"]["path"] for p in ("livenessProbe", "readinessProbe") if p in container
            ]
            if paths != ["/livez", "/readyz"]:
                yield "has probes other than /livez and /readyz"
            shared = of_kind(documents, "ConfigMap")
            grace = next((d["data"]["KYB_WORKER__SHUTDOWN_GRACE"] for d in shared if "KYB_WORKER__SHUTDOWN_GRACE" in d["data"]), "30s")  # fmt: skip
            pause = (
                container.get("lifecycle", {})
                .get("preStop", {})
                .get("exec", {})
                .get("command", ["sleep", "0"])
            )
            needed = float(pause[-1]) + _seconds(grace) + KILL_MARGIN_SECONDS
            if spec.get("terminationGracePeriodSeconds", 30) <= needed:
                yield f"is killed before the {needed:.0f} s that its shutdown may take"
        yield from _resources(container)


def _resources(container: Document) -> Iterator[str]:
    resources = container.get("resources", {})
    for name in ("cpu", "memory"):
        amounts = [_amount(resources.get(kind, {}).get(name)) for kind in ("requests", "limits")]
        if None in amounts:
            yield f"has no request or limit of {name} that is readable"
        elif amounts[0] > amounts[1]:  # type: ignore[operator]  # None is handled above
            yield f"requests more {name} than its limit"


def _seconds(duration: object) -> float:
    return float(str(parse_duration(duration)))


def _amount(quantity: object) -> float | None:
    match = _QUANTITY.fullmatch(str(quantity))
    return float(match[1]) * _FACTORS[match[2]] if match else None
