"""Checks of the scaling by KEDA, and that a worker serves every queue."""

from __future__ import annotations

from collections.abc import Iterator

from messages.catalogue import COMMANDS, QUEUES
from tests.deployment.k8s.manifests import Document, keys_of, of_kind, pods, title
from workers.jobs.catalogue import JOBS
from workers.settings import parse_duration

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


def scaling_problems(documents: list[Document]) -> Iterator[str]:
    deployments = {d["metadata"]["name"]: d for d in of_kind(documents, "Deployment")}
    scaled = of_kind(documents, "ScaledObject")
    targets = [each["spec"]["scaleTargetRef"]["name"] for each in scaled]
    for name, deployment in deployments.items():
        if ("replicas" in deployment["spec"]) == (name in targets):
            yield f"Deployment/{name}: needs either replicas or a ScaledObject"
    settings = [d["data"] for d in of_kind(documents, "ConfigMap")]
    longest = max(
        (float(str(parse_duration(each.get("KYB_POLLING__MAX_DELAY", "300s")))) for each in settings),
        default=300.0,
    )
    for each in scaled:
        spec = each["spec"]
        target = deployments.get(spec["scaleTargetRef"]["name"])
        if target is None:
            yield f"{title(each)}: no Deployment {spec['scaleTargetRef']['name']}"
            continue
        if spec.get("cooldownPeriod", 300) <= longest:
            yield f"{title(each)}: cools down while jobs wait for their next poll"
        if spec.get("minReplicaCount", 0) > spec.get("maxReplicaCount", 100):
            yield f"{title(each)}: has a minimum above its maximum"
        served = target["spec"]["template"]["spec"]["containers"][0]["args"]
        triggers = {trigger["type"]: trigger["metadata"] for trigger in spec["triggers"]}
        if set(triggers) != {"rabbitmq", "postgresql"}:
            yield f"{title(each)}: has the triggers {sorted(triggers)}"
        for trigger in spec["triggers"]:
            yield from (f"{title(each)}: {p}" for p in _trigger(trigger, served, documents))


def _trigger(trigger: Document, served: list[str], documents: list[Document]) -> Iterator[str]:  # noqa: C901 - a list
    metadata = trigger["metadata"]
    known = {"rabbitmq": _RABBITMQ, "postgresql": _POSTGRESQL}.get(trigger["type"], set())
    if not set(metadata) <= known:
        yield f"unknown metadata {sorted(set(metadata) - known)}"
    if not all(isinstance(value, str) for value in metadata.values()):
        yield "metadata that are not strings"
    if trigger["type"] == "rabbitmq":
        if metadata.get("mode") != "QueueLength" or not str(metadata.get("value", "")).isdigit():
            yield "does not scale by the queue's length"
        if metadata.get("protocol") not in {"http", "amqp", "auto"}:
            yield "unknown protocol"
        if metadata.get("queueName") not in QUEUES or metadata.get("queueName") not in served:
            yield f"{metadata.get('queueName')} is not a queue of its pods"
    elif not str(metadata.get("targetQueryValue", "")).isdigit() or f"'{served[-1]}'" not in metadata.get(
        "query", ""
    ):
        yield "counts the timers of another queue"
    authentications = {d["metadata"]["name"]: d for d in of_kind(documents, "TriggerAuthentication")}
    authentication = authentications.get(trigger.get("authenticationRef", {}).get("name"))
    if authentication is None:
        yield "its TriggerAuthentication is missing"
        return
    parameter = {"rabbitmq": "host", "postgresql": "connection"}.get(trigger["type"])
    secrets = {each["parameter"]: each for each in authentication["spec"].get("secretTargetRef", [])}
    if parameter not in secrets:
        yield f"{parameter} is missing"
    elif secrets[parameter]["key"] not in (keys_of(documents, "Secret", secrets[parameter]["name"]) or ()):
        yield f"Secret {secrets[parameter]['name']} has no {secrets[parameter]['key']}"


def queue_problems(documents: list[Document]) -> Iterator[str]:
    served: list[str] = []
    for each in pods(documents):
        for container in each.containers:
            args = container.get("args", [])
            if args[:2] == ["worker", "--queues"]:
                served += args[2].split(",")
    for queue in {COMMANDS[command].queue() for command in JOBS} - set(served):
        yield f"no worker serves {queue}"
    for queue in set(served) - set(QUEUES):
        yield f"queue {queue} does not exist"
