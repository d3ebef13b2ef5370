"""A proposal as a runbook file: commented, in the order people read, and loading to what was proposed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from meshup.model.duration import shown
from meshup.model.objects import Ref
from meshup.model.proposal import Proposal
from meshup.model.runbook import Ingress, Service

MODELINE = "# yaml-language-server: $schema=https://meshup.dev/schema/runbook/v1"


def quoted(value: str) -> str:
    """Write a text so that YAML reads it as that text and nothing else."""
    return json.dumps(value, ensure_ascii=False)


def flow(value: Any) -> str:
    """Write a value in YAML's one-line form."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    return str(value)


def block(value: Mapping[str, Any], *, indent: int) -> list[str]:
    """Write a mapping in YAML's block form, keys in their order."""
    import yaml

    dumped = yaml.dump(dict(value), Dumper=yaml.SafeDumper, sort_keys=False, allow_unicode=True, width=1000)
    return [" " * indent + line for line in dumped.splitlines()]


def text(proposal: Proposal) -> str:
    """Give the whole file."""
    mesh = proposal.mesh
    lines = [
        MODELINE,
        f"# Written by meshup init for {one_line(proposal.context or 'this cluster')} (server {one_line(proposal.server)}).",
        "# Every stage says what changes and which gates must hold before the next one may begin. Read it with its owners.",
        "apiVersion: meshup.dev/v1",
        "kind: Runbook",
        f"metadata: {{name: {proposal.name}}}",
        "",
        "# Another cluster is refused: this is the UID of namespace kube-system.",
        f"cluster: {{uid: {quoted(proposal.cluster_uid)}}}",
        "",
        f"# {one_line(proposal.chosen)}.",
        "mesh:",
        f"  driver: {mesh.driver}",
        f"  release: {quoted(mesh.release)}        # always quoted: YAML would read a number",
        f"  revision: {mesh.revision}",
        f"  namespace: {mesh.namespace}",
        f"  manifests: {flow(_manifests(proposal))}",
    ]
    if mesh.values:
        lines += ["  values:", *block(mesh.values, indent=4)]
    if mesh.keep_revisions:
        lines += [
            "  # Minimise leaves these, as a way back.",
            f"  keepRevisions: {flow(mesh.keep_revisions)}",
        ]
    lines += ["", *_ingress(proposal.ingress), *_services(proposal), *_waves(proposal), *_stages(proposal), ""]
    lines += ["# How fast: services that move at once.", "pacing: {inFlight: 4}"]
    if proposal.metrics.service:
        lines += [
            "",
            "# A Prometheus was found; queries go through the API server.",
            f"metrics: {{service: {proposal.metrics.service}}}",
        ]
    return "\n".join(lines) + "\n"


def ref_row(each: Ref) -> dict[str, str]:
    """Give a reference as the file has it; an Ingress of the usual version is meant where nothing else is said."""
    row = {"namespace": each.namespace, "name": each.name}
    if (each.api_version, each.kind) != ("networking.k8s.io/v1", "Ingress"):
        row = {"apiVersion": each.api_version, "kind": each.kind, **row}
    return row


def one_line(value: str) -> str:
    """Give a text that can't end the comment it stands in."""
    return "".join(each if each.isprintable() else " " for each in value)[:120]


def _manifests(proposal: Proposal) -> dict[str, str]:
    manifests = proposal.mesh.manifests
    found: dict[str, str] = {"from": manifests.source}
    if manifests.path:
        found["path"] = manifests.path
    return found


def _ingress(ingress: Ingress | None) -> list[str]:
    if ingress is None:
        return ["# No Ingress was found; an ingress block would come here.", ""]
    said = "# Ingress first: routes to services that are not meshed yet, proven host by host through the new gateway."
    return [said, *ingress_block(ingress), ""]


def ingress_block(ingress: Ingress) -> list[str]:
    """Write an ingress without its handoff."""
    lines = [
        "ingress:",
        f"  api: {ingress.api}",
        f"  name: {ingress.name}",
        f"  namespace: {ingress.namespace}",
    ]
    if ingress.source:
        lines.append(f"  from: {flow([ref_row(each) for each in ingress.source])}")
    lines.append("  hosts:")
    for host in ingress.hosts:
        lines.append(f"    - host: {quoted(host.host)}")
        if host.tls_secret:
            lines.append(f"      tlsSecret: {quoted(host.tls_secret)}")
        lines.append("      paths:")
        for path in host.paths:
            row: dict[str, Any] = {
                "path": path.path,
                "kind": path.kind,
                "service": path.service,
                "namespace": path.namespace,
                "port": path.port,
            }
            if path.expect:
                row["expect"] = path.expect
            lines.append(f"        - {flow(row)}")
    if ingress.untranslated:
        lines += [
            "  # Not translated, for people to decide:",
            "  untranslated:",
            *(f"    - {quoted(each)}" for each in ingress.untranslated),
        ]
    return lines


def _services(proposal: Proposal) -> list[str]:
    if not proposal.services:
        return ["services: []", ""]
    lines = ["# A service without optIn is touched by nobody.", "services:"]
    for each in proposal.services:
        lines.append(f"  - {flow(service_row(each))}")
    if proposal.blocked:
        lines += ["  # Left out:", *(f"  #   {one_line(name)}: {one_line(why)}" for name, why in proposal.blocked)]
    return [*lines, ""]


def service_row(each: Service) -> dict[str, Any]:
    """Give a service as the file has it."""
    row: dict[str, Any] = {
        "name": each.name,
        "namespace": each.namespace,
        "workload": f"{each.workload.kind}/{each.workload.name}",
        "owner": each.owner,
    }
    if each.critical:
        row["critical"] = True
    if each.client_only:
        row["clientOnly"] = True
    if each.low_traffic is not None:
        probe = {"path": each.low_traffic.path, "port": each.low_traffic.port, "expect": each.low_traffic.expect}
        row["lowTraffic"] = {key: value for key, value in probe.items() if (key, value) != ("expect", 200)}
    if each.baseline_query:
        row["baseline"] = {"query": each.baseline_query}
    if each.opt_in is not None:
        row["optIn"] = {"by": each.opt_in.by, "at": each.opt_in.at.isoformat().replace("+00:00", "Z")}
    return row


def _waves(proposal: Proposal) -> list[str]:
    if not proposal.waves:
        return ["# Nobody has opted in yet, so there is no wave.", "waves: []", ""]
    why = dict(proposal.why)
    lines = ["# Off the critical path first, small first.", "waves:"]
    for wave in proposal.waves:
        lines += [
            f"  # {why.get(wave.name, '')}",
            f"  - name: {wave.name}",
            "    services:",
            *(f"      - {each}" for each in wave.services),
        ]
    return [*lines, ""]


def gate(kind: str, params: Mapping[str, Any] | None = None, **patience: Any) -> str:
    """Write one gate on a line."""
    row: dict[str, Any] = {kind: dict(params or {})}
    if patience:
        row["patience"] = patience
    return "      - " + flow(row)


def _ledger() -> list[str]:
    """Write, as a comment, how the run installs the ledger: it is for whoever may define kinds and policies."""
    return [
        "  # With the ledger this stage is the following: its kinds and policies are written once the preflight holds, and count",
        "  # once forged records are denied.",
        "  # - name: preflight",
        "  #   before:",
        "  #     - {preflight: {}}",
        "  #   steps:",
        "  #     - install-ledger: {}",
        "  #   gates:",
        "  #     - {ledger-enforced: {}}",
    ]


def _stages(proposal: Proposal) -> list[str]:
    waves = [each.name for each in proposal.waves]
    ingress = proposal.ingress is not None
    lines = [
        "stages:",
        "  # Everything that is cheaper to know before the first write.",
        "  - name: preflight",
        "    gates:",
        gate("preflight"),
        *_ledger(),
        "",
        "  # The control plane as a revision of its own"
        + (", and the gateway in front of services that are not meshed yet." if ingress else "."),
        "  - name: ingress" if ingress else "  - name: control-plane",
        "    steps:",
        "      - install-control-plane: {}",
        *(["      - ingress-gateway: {}"] if ingress else []),
        "    gates:",
        gate("workloads-ready"),
        *([gate("proxies-in-sync"), gate("ingress-probe")] if ingress else []),
    ]
    if waves:
        lines += _moving_stages(waves)
    return lines


def _moving_stages(waves: Sequence[str]) -> list[str]:
    minute = {"every": shown(15), "limit": shown(900)}
    return [
        "",
        "  # Services move wave by wave; a wave whose gate fails is taken back.",
        "  - name: onboard",
        f"    waves: {flow(list(waves))}",
        "    steps:",
        "      - enrol: {}",
        "    gates:",
        gate("workloads-ready"),
        gate("proxies-right", None, limit="15m", every="5s", inARow=2),
        gate("proxies-in-sync"),
        gate("success-rate", {"floor": 0.99, "quiet": "pool"}, **minute, window="2m", least=50, inARow=2),
        gate("latency", {"limit-ms": 1000, "quiet": "pool"}, **minute, window="2m", least=50, inARow=2),
        gate("new-connections", {"max-failure-ratio": 0.01}, **minute, least=1, inARow=1),
        "",
        "  # Mutual TLS is spoken, plaintext still accepted, in a policy that is ours.",
        "  - name: mtls",
        "    steps:",
        "      - permissive: {}",
        "    gates:",
        gate("proxies-in-sync"),
        "",
        "  # Plaintext is refused: evidence before, a guard during, a tripwire after.",
        "  - name: strict",
        "    before:",
        gate("guard-armed"),
        gate("plaintext-callers", {"window": "10m"}, limit="30m", every="60s", least=20, inARow=1),
        "    steps:",
        "      - strict: {levels: [workload, namespace, mesh]}",
        "    gates:",
        gate("strict-holds", None, limit="10m", every="15s", inARow=3),
        gate("proxies-in-sync"),
        "",
        "  # What nothing uses any more goes.",
        "  - name: minimise",
        "    before:",
        gate("revisions-unused"),
        "    steps:",
        "      - minimise: {}",
    ]
