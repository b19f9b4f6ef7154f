"""What is wrong with manifests: also what an API server would take and what only shows on a bad night."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

from messages.catalogue import COMMANDS, QUEUES
from tests.k8s.manifests import WORKLOADS, Document, Pods, keys_of, of_kind, pods, references, selects, title
from workers.cli.main import COMMANDS as CALLS
from workers.jobs.registry import JOBS
from workers.settings import Settings, seconds
from workers.supervisor import KILL_MARGIN
from workers.worker import JOB_MODULES

assert JOB_MODULES  # the jobs are registered by importing them

#: The Kubernetes version whose schemas count.
VERSION = "1.34"
_SCHEMAS = Path(__file__).with_name("schemas")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|Ki|Mi|Gi|Ti|k|M|G|T|)")
_FACTORS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}  # fmt: skip
_RABBITMQ = {
    "protocol",
    "queueName",
    "mode",
    "value",
    "activationValue",
    "vhostName",
    "excludeUnacknowledged",
}
_POSTGRESQL = {"query", "targetQueryValue", "activationTargetQueryValue"}
_PRIVATE = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}


def problems(documents: list[Document]) -> list[str]:
    """One line for each problem."""
    found = [*_schemas(documents)]
    if not found:
        for check in (_names, _pods, _settings, _rates, _budgets, _network, _services, _scaling, _queues):
            found += check(documents)
    return found


# -- schemas and names ----------------------------------------------------------------------------------


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
            kubernetes_validate.validate(document, VERSION, strict=True)
    except jsonschema.ValidationError as error:
        return f"{error.json_path}: {error.message[:200]}"
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return str(error)[:200]
    return None


def _names(documents: list[Document]) -> Iterator[str]:
    for name, count in Counter(map(title, documents)).items():
        if count > 1:
            yield f"{name} is there {count} times"
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


# -- pods -----------------------------------------------------------------------------------------------


def _pods(documents: list[Document]) -> Iterator[str]:
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
                yield f"there is no {kind} {name}"
            elif not there >= set(keys):
                yield f"{kind} {name} has no {sorted(set(keys) - there)}"
        elif not any(d["metadata"]["name"] == name for d in of_kind(documents, kind)):
            yield f"there is no {kind} {name}"
    claims = {c["metadata"]["name"] for c in each.workload["spec"].get("volumeClaimTemplates", [])}
    volumes = {volume["name"] for volume in each.spec.get("volumes", [])} | claims
    mounted = {mount["name"] for c in each.containers for mount in c.get("volumeMounts", [])}
    if volumes != mounted:
        yield f"volumes and mounts differ in {sorted(volumes ^ mounted)}"
    for spread in each.spec.get("topologySpreadConstraints", []):
        wanted = spread.get("labelSelector", {})
        if not wanted.get("matchLabels") or not selects(wanted, each.labels):
            yield "is spread by the pods of others"


def _restricted(each: Pods) -> Iterator[str]:  # noqa: C901 - a list
    spec = each.spec
    context = spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if spec.get("automountServiceAccountToken") is not False:
        yield "gets a token"
    if spec.get("enableServiceLinks") is not False:
        yield "gets the variables of services, which may look like settings"
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares the host"
    if any("hostPath" in volume for volume in spec.get("volumes", [])):
        yield "mounts the host's disk"
    for container in each.containers:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield "may get privileges"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("capabilities", {}).get("add"):
            yield "has capabilities"
        if own.get("readOnlyRootFilesystem") is not True:
            yield "may write to its root"


def _lively(each: Pods, documents: list[Document]) -> Iterator[str]:
    spec = each.spec
    for container in each.containers:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container.get(probe)
            if asked is None and each.kind != "Job":
                yield f"has no {probe}"
            target = (asked or {}).get("httpGet") or (asked or {}).get("tcpSocket")
            if target and target["port"] not in each.ports():
                yield f"{probe} asks port {target['port']}, which is not declared"
        if "workers" in container["image"] and container.get("args", [""])[0] == "worker":
            paths = [
                container[p]["httpGet"]["path"] for p in ("livenessProbe", "readinessProbe") if p in container
            ]
            if paths != ["/livez", "/readyz"]:
                yield "is not asked /livez and /readyz"
            shared = of_kind(documents, "ConfigMap")
            grace = next((d["data"]["KYB_WORKER__SHUTDOWN_GRACE"] for d in shared if "KYB_WORKER__SHUTDOWN_GRACE" in d["data"]), "30s")  # fmt: skip
            pause = (
                container.get("lifecycle", {})
                .get("preStop", {})
                .get("exec", {})
                .get("command", ["sleep", "0"])
            )
            needed = float(pause[-1]) + _seconds(grace) + KILL_MARGIN
            if spec.get("terminationGracePeriodSeconds", 30) <= needed:
                yield f"is killed before the {needed:.0f} s that its end may take"
        yield from _resources(container)


def _resources(container: Document) -> Iterator[str]:
    given = container.get("resources", {})
    for name in ("cpu", "memory"):
        amounts = [_amount(given.get(kind, {}).get(name)) for kind in ("requests", "limits")]
        if None in amounts:
            yield f"has no request or limit of {name} that can be read"
        elif amounts[0] > amounts[1]:  # type: ignore[operator]  # None is handled above
            yield f"requests more {name} than its limit"


def _seconds(duration: object) -> float:
    return float(str(seconds(duration)))


def _amount(quantity: object) -> float | None:
    match = _QUANTITY.fullmatch(str(quantity))
    return float(match[1]) * _FACTORS[match[2]] if match else None


# -- settings -------------------------------------------------------------------------------------------


def _settings(documents: list[Document]) -> Iterator[str]:
    maps = {d["metadata"]["name"]: d.get("data", {}) for d in of_kind(documents, "ConfigMap")}
    for each in pods(documents):
        for container in each.containers:
            own = {e["name"]: e.get("value") for e in container.get("env", [])}
            named = {k: v for kind, name, _ in references(each.spec) if kind == "ConfigMap" for k, v in maps.get(name, {}).items()}  # fmt: skip
            for problem in unknown({k: v for k, v in (named | own).items() if k.startswith("KYB_")}):
                yield f"{each.name}: {problem}"
            if "kyb-workers" in container["image"]:
                words = [*container.get("args", []), *container.get("command", [])]
                if not words or words[0] not in CALLS:
                    yield f"{each.name}: kyb {' '.join(words)} is no command"


def _rates(documents: list[Document]) -> Iterator[str]:
    """Budgets are shared by all workers, and shared out by the keeper: all must mean the same."""
    given: dict[str, dict[str, str]] = {}
    for deployment in of_kind(documents, "Deployment"):
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            for variable in container.get("env", []):
                if "__RATE" in variable["name"]:
                    given.setdefault(variable["name"], {})[deployment["metadata"]["name"]] = variable["value"]
    for name, by in given.items():
        if len(set(by.values())) != 1 or "kyb-keeper" not in by:
            yield f"{name} is not the same everywhere: {by}"


def unknown(variables: dict[str, Any]) -> Iterator[str]:
    """What is no setting, or has a value that the settings refuse."""
    for variable, value in variables.items():
        model: Any = Settings
        for part in variable.removeprefix("KYB_").lower().split("__"):
            field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
            if field is None:
                yield f"{variable} is no setting"
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


# -- budgets, network, services -------------------------------------------------------------------------


def _budgets(documents: list[Document]) -> Iterator[str]:
    everyone = pods(documents)
    for budget in of_kind(documents, "PodDisruptionBudget"):
        chosen = [each for each in everyone if selects(budget["spec"].get("selector"), each.labels)]
        if len(chosen) != 1:
            yield f"{title(budget)}: is about {len(chosen)} workloads"
        if not budget["spec"].get("maxUnavailable"):
            yield f"{title(budget)}: lets no node be drained"


def _network(documents: list[Document]) -> Iterator[str]:  # noqa: C901 - a list
    everyone = pods(documents)
    policies = of_kind(documents, "NetworkPolicy")
    for policy in policies:
        spec = policy["spec"]
        chosen = [each for each in everyone if selects(spec.get("podSelector"), each.labels)]
        if not chosen or not spec.get("podSelector", {}).get("matchLabels"):
            yield f"{title(policy)}: selects no pod, or all"
        for rule in spec.get("ingress", []):
            for port in rule.get("ports", []):
                if isinstance(port["port"], str) and not all(port["port"] in each.ports() for each in chosen if each.kind != "Job"):  # fmt: skip
                    yield f"{title(policy)}: port {port['port']} is not declared"
        for rule in spec.get("egress", []):
            yield from (f"{title(policy)}: {problem}" for problem in _egress(rule, everyone))
    for each in everyone:
        if each.labels.get("app.kubernetes.io/name") == "kyb-workers":
            mine = [p["spec"] for p in policies if selects(p["spec"].get("podSelector"), each.labels)]
            if not any({"Ingress", "Egress"} <= set(p["policyTypes"]) and not p.get("egress") for p in mine):
                yield f"{each.name}: may reach everything"
            ports = {
                port["port"] for p in mine for rule in p.get("egress", []) for port in rule.get("ports", [])
            }
            needed = {53, 5432} | ({5672} if each.kind == "Deployment" else set())
            if not needed <= ports:
                yield f"{each.name}: cannot reach {sorted(needed - ports)}"
            if bool({443, 8080} & ports) != bool(each.secrets() - {"kyb-connections"}):
                yield f"{each.name}: reaches the vendors without having one, or has one and cannot reach it"


def _egress(rule: Document, everyone: list[Pods]) -> Iterator[str]:
    if not rule.get("to") or not rule.get("ports"):
        yield "lets everything out"
    for peer in rule.get("to", []):
        block = peer.get("ipBlock")
        if block and block["cidr"] == "0.0.0.0/0" and not set(block.get("except", [])) >= _PRIVATE:
            yield "reaches private networks or the metadata service"
        within = "podSelector" in peer and "namespaceSelector" not in peer
        if within and not any(selects(peer["podSelector"], each.labels) for each in everyone):
            ours = peer["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
            yield f"leads to {ours}, which is not there"


def _services(documents: list[Document]) -> Iterator[str]:
    for service in of_kind(documents, "Service"):
        chosen = [
            e
            for e in pods(documents)
            if selects({"matchLabels": service["spec"].get("selector", {})}, e.labels)
        ]
        if not chosen or not service["spec"].get("selector"):
            yield f"{title(service)}: selects no pod, or all"
        for port in service["spec"].get("ports", []):
            if not all(port.get("targetPort", port["port"]) in each.ports() for each in chosen):
                yield f"{title(service)}: port {port['port']} leads nowhere"


# -- scaling --------------------------------------------------------------------------------------------


def _scaling(documents: list[Document]) -> Iterator[str]:
    deployments = {d["metadata"]["name"]: d for d in of_kind(documents, "Deployment")}
    scaled = of_kind(documents, "ScaledObject")
    targets = [each["spec"]["scaleTargetRef"]["name"] for each in scaled]
    for name, deployment in deployments.items():
        if ("replicas" in deployment["spec"]) == (name in targets):
            yield f"Deployment/{name}: has replicas and is scaled, or neither"
    settings = [d["data"] for d in of_kind(documents, "ConfigMap")]
    longest = max((_seconds(each.get("KYB_POLLING__MAX_DELAY", "300s")) for each in settings), default=300.0)
    for each in scaled:
        spec = each["spec"]
        target = deployments.get(spec["scaleTargetRef"]["name"])
        if target is None:
            yield f"{title(each)}: there is no Deployment {spec['scaleTargetRef']['name']}"
            continue
        if spec.get("cooldownPeriod", 300) <= longest:
            yield f"{title(each)}: cools down while jobs wait for their next look"
        if spec.get("minReplicaCount", 0) > spec.get("maxReplicaCount", 100):
            yield f"{title(each)}: wants more than it may have"
        served = target["spec"]["template"]["spec"]["containers"][0]["args"]
        triggers = {trigger["type"]: trigger["metadata"] for trigger in spec["triggers"]}
        if set(triggers) != {"rabbitmq", "postgresql"}:
            yield f"{title(each)}: looks at {sorted(triggers)}"
        for trigger in spec["triggers"]:
            yield from (f"{title(each)}: {p}" for p in _trigger(trigger, served, documents))


def _trigger(trigger: Document, served: list[str], documents: list[Document]) -> Iterator[str]:  # noqa: C901 - a list
    metadata = trigger["metadata"]
    known = {"rabbitmq": _RABBITMQ, "postgresql": _POSTGRESQL}.get(trigger["type"], set())
    if not set(metadata) <= known:
        yield f"unknown metadata {sorted(set(metadata) - known)}"
    if not all(isinstance(value, str) for value in metadata.values()):
        yield "metadata that are no strings"
    if trigger["type"] == "rabbitmq":
        if metadata.get("mode") != "QueueLength" or not str(metadata.get("value", "")).isdigit():
            yield "the queue's length is not what counts"
        if metadata.get("protocol") not in {"http", "amqp", "auto"}:
            yield "unknown protocol"
        if metadata.get("queueName") not in QUEUES or metadata.get("queueName") not in served:
            yield f"{metadata.get('queueName')} is not what its pods serve"
    elif not str(metadata.get("targetQueryValue", "")).isdigit() or f"'{served[-1]}'" not in metadata.get(
        "query", ""
    ):
        yield "the timers are not those of its queue"
    authentications = {d["metadata"]["name"]: d for d in of_kind(documents, "TriggerAuthentication")}
    found = authentications.get(trigger.get("authenticationRef", {}).get("name"))
    if found is None:
        yield "there is no such TriggerAuthentication"
        return
    wanted = {"rabbitmq": "host", "postgresql": "connection"}.get(trigger["type"])
    given = {each["parameter"]: each for each in found["spec"].get("secretTargetRef", [])}
    if wanted not in given:
        yield f"no {wanted} is given"
    elif given[wanted]["key"] not in (keys_of(documents, "Secret", given[wanted]["name"]) or ()):
        yield f"Secret {given[wanted]['name']} has no {given[wanted]['key']}"


def _queues(documents: list[Document]) -> Iterator[str]:
    served: list[str] = []
    for each in pods(documents):
        for container in each.containers:
            args = container.get("args", [])
            if args[:2] == ["worker", "--queues"]:
                served += args[2].split(",")
    for queue in {COMMANDS[command].queue() for command in JOBS} - set(served):
        yield f"nobody serves {queue}"
    for queue in set(served) - set(QUEUES):
        yield f"there is no queue {queue}"
