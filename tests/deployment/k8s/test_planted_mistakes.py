"""The checks find each planted mistake. An API server would accept most of them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest

from tests.deployment.k8s.checks import problems
from tests.deployment.k8s.manifests import Document, rendered

rendered_once = functools.cache(rendered)


class Plan:
    """The production manifests, to be modified."""

    def __init__(self) -> None:
        self.documents: list[Document] = copy.deepcopy(rendered_once("prod"))

    def get(self, kind: str, name: str) -> Any:
        return next(d for d in self.documents if (d["kind"], d["metadata"]["name"]) == (kind, name))

    def remove(self, kind: str, name: str) -> None:
        self.documents.remove(self.get(kind, name))

    @property
    def deployment(self) -> Any:
        return self.get("Deployment", "kyb-data8")

    @property
    def pod(self) -> Any:
        return self.deployment["spec"]["template"]["spec"]

    @property
    def container(self) -> Any:
        return self.pod["containers"][0]

    @property
    def scaled(self) -> Any:
        return self.get("ScaledObject", "kyb-data8")["spec"]

    @property
    def rabbitmq(self) -> Any:
        return self.scaled["triggers"][0]

    def policy(self, name: str) -> Any:
        return self.get("NetworkPolicy", f"kyb-{name}")["spec"]


Mutation = Callable[[Plan], object]

MISTAKES: dict[str, tuple[Mutation, str]] = {
    "misspelt field": (lambda p: p.pod.update(terminationGracePeriod=60), "terminationGracePeriod"),
    "wrong type": (lambda p: p.pod.update(terminationGracePeriodSeconds="60"), "60"),
    "unknown kind": (lambda p: p.get("Job", "kyb-ledger-upgrade").update(kind="Jobs"), "Jobs"),
    "old API version": (lambda p: p.get("Job", "kyb-ledger-upgrade").update(apiVersion="batch/v1beta1"), "Job"),
    "misspelt KEDA field": (lambda p: p.scaled.update(coolDownPeriod=400), "coolDownPeriod"),
    "misspelt field of RabbitmqCluster": (
        lambda p: p.get("RabbitmqCluster", "kyb-rabbitmq")["spec"].update(replica=3), "replica"),
    "misspelt field of ExternalSecret": (
        lambda p: p.get("ExternalSecret", "kyb-data8")["spec"].update(refresh="5m"), "refresh"),
    "same name twice": (lambda p: p.documents.append(copy.deepcopy(p.deployment)), "occurs 2 times"),
    "another namespace": (lambda p: p.deployment["metadata"].update(namespace="other"), "several namespaces"),
    "image without version": (lambda p: p.container.update(image="registry.example/kyb-workers:latest"), "no version"),
    "selector without pods": (
        lambda p: p.deployment["spec"]["template"]["metadata"]["labels"].update({"app.kubernetes.io/component": "x"}),
        "does not select its own pods"),
    "missing ConfigMap": (lambda p: p.remove("ConfigMap", "kyb-settings"), "ConfigMap kyb-settings is missing"),
    "missing Secret": (lambda p: p.remove("ExternalSecret", "kyb-data8"), "Secret kyb-data8 is missing"),
    "missing key of a Secret": (
        lambda p: p.get("ExternalSecret", "kyb-connections")["spec"]["data"].pop(0), "has no ['KYB_BROKER_URL']"),
    "missing ServiceAccount": (lambda p: p.remove("ServiceAccount", "kyb-workers"), "ServiceAccount kyb-workers is missing"),
    "missing claim": (lambda p: p.remove("PersistentVolumeClaim", "kyb-data"), "PersistentVolumeClaim kyb-data is missing"),
    "unmounted volume": (lambda p: p.container["volumeMounts"].pop(), "volumes and mounts differ"),
    "spread by all pods": (
        lambda p: p.pod["topologySpreadConstraints"][0].update(labelSelector={}), "spreads over the pods"),
    "root": (lambda p: p.pod["securityContext"].update(runAsUser=0), "may run as root"),
    "no seccomp": (lambda p: p.pod["securityContext"].pop("seccompProfile"), "no seccomp"),
    "token": (lambda p: p.pod.pop("automountServiceAccountToken"), "Kubernetes token"),
    "service variables": (lambda p: p.pod.update(enableServiceLinks=True), "variables of services"),
    "host's network": (lambda p: p.pod.update(hostNetwork=True), "namespace of the host"),
    "host's disk": (
        lambda p: p.pod["volumes"][-1].update({"hostPath": {"path": "/"}, "emptyDir": None}), "host's disk"),
    "privileges": (lambda p: p.container["securityContext"].pop("allowPrivilegeEscalation"), "may escalate"),
    "capabilities": (
        lambda p: p.container["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "has capabilities"),
    "writable root": (lambda p: p.container["securityContext"].update(readOnlyRootFilesystem=False), "write to its root"),
    "probe of another port": (
        lambda p: p.container["livenessProbe"]["httpGet"].update(port=8080), "not declared"),
    "no readiness": (lambda p: p.container.pop("readinessProbe"), "no readinessProbe"),
    "restarted while RabbitMQ is unavailable": (
        lambda p: p.container["livenessProbe"]["httpGet"].update(path="/readyz"), "/livez"),
    "killed within its grace period": (
        lambda p: p.pod.update(terminationGracePeriodSeconds=30), "is killed before"),
    "unreadable quantity": (lambda p: p.container["resources"]["limits"].update(memory="512MB"), "memory"),
    "more than its limit": (lambda p: p.container["resources"]["requests"].update(cpu="2"), "more cpu"),
    "misspelt setting": (
        lambda p: p.container["env"][0].update(name="KYB_WORKERS__THREADS"), "KYB_WORKERS__THREADS is not a setting"),
    "setting that is refused": (
        lambda p: p.get("ConfigMap", "kyb-settings")["data"].update(KYB_LOG__LEVEL="loud"), "KYB_LOG__LEVEL"),
    "rate limits that differ": (lambda p: p.container["env"][2].update(value="30/second"), "differs between workloads"),
    "misspelt command": (lambda p: p.container.update(args=["workers"]), "does not exist"),
    "unknown queue": (lambda p: p.container.update(args=["worker", "--queues", "kyb.date8"]), "queue kyb.date8 does not exist"),
    "queue without a worker": (lambda p: p.remove("Deployment", "kyb-dispatcher"), "no worker serves kyb.control"),
    "disruption budget without pods": (
        lambda p: p.get("PodDisruptionBudget", "kyb-data8")["spec"].update(
            selector={"matchLabels": {"app.kubernetes.io/component": "date8"}}), "selects 0 workloads"),
    "disruption budget that blocks every drain": (
        lambda p: p.get("PodDisruptionBudget", "kyb-dispatcher")["spec"].update(maxUnavailable=0), "blocks every drain"),
    "policy without pods": (
        lambda p: p.policy("metrics").update(podSelector={"matchLabels": {"app": "kyb"}}), "selects no pod"),
    "no DNS": (lambda p: p.remove("NetworkPolicy", "kyb-dns"), "cannot reach [53]"),
    "no broker": (lambda p: p.policy("broker")["egress"][0]["ports"].pop(0), "cannot reach [5672]"),
    "broker of another name": (
        lambda p: p.policy("broker")["egress"][0]["to"][0]["podSelector"].update(
            matchLabels={"app.kubernetes.io/name": "rabbit"}), "rabbit, which does not exist"),
    "unrestricted egress": (lambda p: p.policy("vendors")["egress"][0].pop("to"), "allows all egress"),
    "metadata service": (
        lambda p: p.policy("vendors")["egress"][0]["to"][0]["ipBlock"].pop("except"), "metadata service"),
    "no default-deny policy": (lambda p: p.remove("NetworkPolicy", "kyb-default-deny"), "may reach everything"),
    "vendor without egress": (
        lambda p: p.deployment["spec"]["template"]["metadata"]["labels"].pop("kyb.access/vendors"), "cannot reach them"),
    "replicas beside KEDA": (lambda p: p.deployment["spec"].update(replicas=1), "either replicas or a ScaledObject"),
    "Deployment without ScaledObject": (lambda p: p.remove("ScaledObject", "kyb-data8"), "either replicas or a ScaledObject"),
    "ScaledObject of a missing Deployment": (lambda p: p.scaled["scaleTargetRef"].update(name="kyb-date8"), "no Deployment kyb-date8"),
    "cooldown shorter than a poll delay": (lambda p: p.scaled.update(cooldownPeriod=60), "cools down"),
    "minimum above maximum": (lambda p: p.scaled.update(minReplicaCount=5), "minimum above its maximum"),
    "no trigger for timers": (lambda p: p.scaled["triggers"].pop(), "has the triggers ['rabbitmq']"),
    "old name of the queue length": (lambda p: p.rabbitmq["metadata"].update(queueLength="20"), "unknown metadata"),
    "numeric metadata": (lambda p: p.rabbitmq["metadata"].update(value=20), "20"),
    "no mode": (lambda p: p.rabbitmq["metadata"].pop("mode"), "does not scale by"),
    "queue of another vendor": (lambda p: p.rabbitmq["metadata"].update(queueName="kyb.sayari"), "not a queue of its pods"),
    "timers of another vendor": (
        lambda p: p.scaled["triggers"][1]["metadata"].update(query="SELECT count(*) FROM job WHERE queue = 'kyb.sayari'"),
        "timers of another queue"),
    "missing TriggerAuthentication": (lambda p: p.remove("TriggerAuthentication", "kyb-data8"), "TriggerAuthentication is missing"),
    "missing key for KEDA": (
        lambda p: p.get("ExternalSecret", "kyb-scaling")["spec"]["data"].pop(), "has no postgresql"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_checks_report_a_mistake_when_one_is_planted(name: str) -> None:
    mutate, expected = MISTAKES[name]
    plan = Plan()
    mutate(plan)
    lines = problems(plan.documents)
    assert any(expected in line for line in lines), lines
