"""Checks of disruption budgets, network policies and services: what they select, and what they allow."""

from __future__ import annotations

from collections.abc import Iterator

from tests.deployment.k8s.manifests import Document, Pods, of_kind, pods, selects, title

_PRIVATE = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}


def disruption_budget_problems(documents: list[Document]) -> Iterator[str]:
    everyone = pods(documents)
    for budget in of_kind(documents, "PodDisruptionBudget"):
        chosen = [each for each in everyone if selects(budget["spec"].get("selector"), each.labels)]
        if len(chosen) != 1:
            yield f"{title(budget)}: selects {len(chosen)} workloads"
        if not budget["spec"].get("maxUnavailable"):
            yield f"{title(budget)}: blocks every drain of a node"


def network_problems(documents: list[Document]) -> Iterator[str]:  # noqa: C901 - a list
    everyone = pods(documents)
    policies = of_kind(documents, "NetworkPolicy")
    for policy in policies:
        spec = policy["spec"]
        chosen = [each for each in everyone if selects(spec.get("podSelector"), each.labels)]
        if not chosen or not spec.get("podSelector", {}).get("matchLabels"):
            yield f"{title(policy)}: selects no pod or every pod"
        for rule in spec.get("ingress", []):
            for port in rule.get("ports", []):
                if isinstance(port["port"], str) and not all(port["port"] in each.ports() for each in chosen if each.kind != "Job"):  # fmt: skip
                    yield f"{title(policy)}: port {port['port']} is not declared"
        for rule in spec.get("egress", []):
            yield from (f"{title(policy)}: {problem}" for problem in _egress(rule, everyone))
    for each in everyone:
        if each.labels.get("app.kubernetes.io/name") == "kyb-workers":
            policies_of_pod = [
                p["spec"] for p in policies if selects(p["spec"].get("podSelector"), each.labels)
            ]
            if not any(
                {"Ingress", "Egress"} <= set(p["policyTypes"]) and not p.get("egress")
                for p in policies_of_pod
            ):
                yield f"{each.name}: may reach everything"
            ports = {
                port["port"]
                for p in policies_of_pod
                for rule in p.get("egress", [])
                for port in rule.get("ports", [])
            }
            needed = {53, 5432} | ({5672} if each.kind == "Deployment" else set())
            if not needed <= ports:
                yield f"{each.name}: cannot reach {sorted(needed - ports)}"
            if bool({443, 8080} & ports) != bool(each.secrets() - {"kyb-connections"}):
                yield f"{each.name}: reaches the vendors without credentials, or has credentials and cannot reach them"


def _egress(rule: Document, everyone: list[Pods]) -> Iterator[str]:
    if not rule.get("to") or not rule.get("ports"):
        yield "allows all egress"
    for peer in rule.get("to", []):
        block = peer.get("ipBlock")
        if block and block["cidr"] == "0.0.0.0/0" and not set(block.get("except", [])) >= _PRIVATE:
            yield "reaches private networks or the metadata service"
        within = "podSelector" in peer and "namespaceSelector" not in peer
        if within and not any(selects(peer["podSelector"], each.labels) for each in everyone):
            ours = peer["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
            yield f"allows egress to {ours}, which does not exist"


def service_problems(documents: list[Document]) -> Iterator[str]:
    for service in of_kind(documents, "Service"):
        chosen = [
            e
            for e in pods(documents)
            if selects({"matchLabels": service["spec"].get("selector", {})}, e.labels)
        ]
        if not chosen or not service["spec"].get("selector"):
            yield f"{title(service)}: selects no pod or every pod"
        for port in service["spec"].get("ports", []):
            if not all(port.get("targetPort", port["port"]) in each.ports() for each in chosen):
                yield f"{title(service)}: port {port['port']} has no target"
