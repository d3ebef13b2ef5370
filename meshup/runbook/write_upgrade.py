"""An upgrade as a runbook file: commented, in the order people read, and loading to what was derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from meshup.model.duration import Duration, shown
from meshup.model.runbook import Budgets, GateSpec, Manifests, Mesh, Metrics, Pacing, Runbook, Stage, StepSpec, Wave
from meshup.model.upgrade import Upgrade
from meshup.model.verdict import Patience
from meshup.runbook.kinds import Kinds, Table
from meshup.runbook.write import MODELINE, block, flow, ingress_block, one_line, quoted, service_row

WHY: Mapping[str, str] = {
    "preflight": "Everything that is cheaper to know before the first write.",
    "control-plane": "The new control plane beside the old one, which is not touched: nobody moves yet.",
    "freshen": "Pods that stay are compared with new ones: they are made anew on the release they run, so that no age is compared.",
    "qualify": "Critical users first: only they can say that the release is good. Until they do, nobody else moves.",
    "gateway": "The gateway moves once the release is qualified, and before everybody else does.",
    "gateway-own": "The gateway's old Deployment is kept without pods for so long; then it serves again, of the new revision.",
    "spread": "Then everybody else, wave by wave; a wave whose gate fails is taken back.",
    "minimise": "The old revision stays as the way back, and goes once it was kept for so long and nothing uses it.",
}


def text(found: Upgrade, kinds: Kinds) -> str:
    """Give the whole file."""
    book, old = found.book, found.before
    lines = [
        MODELINE,
        f"# Written by meshup upgrade: {old.driver} {old.release} (revision {old.revision}) to {book.mesh.release}.",
        "# Gates, patience and pacing are those of the runbook it was derived from. Read it with its owners.",
        *(f"# {one_line(each)}." for each in found.notes),
        "apiVersion: meshup.dev/v1",
        "kind: Runbook",
        f"metadata: {{name: {book.name}}}",
        f"cluster: {{uid: {quoted(book.cluster_uid)}}}",
        "",
        *_mesh(book.mesh),
        "",
        *((*ingress_block(book.ingress), "") if book.ingress is not None else ()),
        "services:",
        *(f"  - {flow(service_row(each))}" for each in book.services),
        "",
        *_waves(found),
        "",
        "stages:",
    ]
    for each in book.stages:
        lines += [*_stage(each, kinds), ""]
    return "\n".join([*lines, *_rest(book)]) + "\n"


def _mesh(mesh: Mesh) -> list[str]:
    manifests: Manifests = mesh.manifests
    source = {"from": manifests.source, **({"path": manifests.path} if manifests.path else {})}
    lines = [
        "mesh:",
        f"  driver: {mesh.driver}",
        f"  release: {quoted(mesh.release)}",
        f"  revision: {mesh.revision}",
        f"  namespace: {mesh.namespace}",
        f"  manifests: {flow(source)}",
    ]
    if mesh.managed_by != "meshup":
        lines.append(f"  managedBy: {mesh.managed_by}")
    if mesh.values:
        lines += ["  values:", *block(mesh.values, indent=4)]
    if mesh.keep_revisions:
        lines.append(f"  keepRevisions: {flow(mesh.keep_revisions)}")
    return lines


def _waves(found: Upgrade) -> list[str]:
    lines = [
        "# A pin or an opt-out beats a wave: who is held now stays listed, and a later plan takes them along.",
        "waves:",
    ]
    left = dict(found.left)
    for wave in found.book.waves:
        lines += [f"  - name: {wave.name}", *_flags(wave), "    services:"]
        for each in wave.services:
            why = left.get(each, "")
            lines.append(f"      - {each}" + (f"    # not now: {one_line(why)}" if why else ""))
    return lines


def _flags(wave: Wave) -> list[str]:
    qualifies = ["    qualifies: true"] if wave.qualifies else []
    return [*qualifies, *([f"    require: {wave.require}"] if wave.require != "opted-in" else [])]


def _stage(stage: Stage, kinds: Kinds) -> list[str]:
    lines = [f"  # {WHY[stage.name]}"] if stage.name in WHY else []
    lines.append(f"  - name: {stage.name}")
    if stage.waves:
        lines.append(f"    waves: {flow(stage.waves)}")
    if stage.on_fail != "undo":
        lines.append(f"    onFail: {stage.on_fail}")
    for word, items in (
        ("before", [_gate(each, kinds) for each in stage.before]),
        ("steps", [_step(each, kinds) for each in stage.steps]),
        ("gates", [_gate(each, kinds) for each in stage.gates]),
    ):
        if items:
            lines += [f"    {word}:", *(f"      - {flow(each)}" for each in items)]
    return lines


def _step(step: StepSpec, kinds: Kinds) -> dict[str, Any]:
    return {step.kind: _params(step.params, kinds.steps[step.kind])}


def _gate(gate: GateSpec, kinds: Kinds) -> dict[str, Any]:
    row: dict[str, Any] = {gate.kind: _params(gate.params, kinds.gates[gate.kind])}
    usual = kinds.gate_patience.get(gate.kind) or Patience()
    patience = {
        name: shown(value) if is_time else value
        for name, value, before, is_time in (
            ("limit", gate.patience.limit_s, usual.limit_s, True),
            ("every", gate.patience.every_s, usual.every_s, True),
            ("inARow", gate.patience.in_a_row, usual.in_a_row, False),
            ("least", gate.patience.least, usual.least, False),
            ("window", gate.patience.window_s, usual.window_s, True),
        )
        if value != before
    }
    return {**row, "patience": patience} if patience else row


def _params(params: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """Give what differs from the kind's own values, as the file writes it."""
    return {
        name: shown(value) if table[name][0] is Duration else value
        for name, value in params.items()
        if name in table and (table[name][1] is ... or value != table[name][1])
    }


def _rest(book: Runbook) -> list[str]:
    lines: list[str] = []
    for name, row in (
        (
            "pacing",
            _changed(
                book.pacing,
                Pacing(),
                {
                    "in_flight": "inFlight",
                    "new_connections_per_s": "newConnectionsPerSecond",
                    "failed_connections": "failedConnections",
                    "blind": "blind",
                },
            ),
        ),
        ("budgets", _budgets(book.budgets)),
        ("metrics", _metrics(book.metrics)),
        ("holds", _holds(book)),
        ("oneWay", {"accept": list(book.accept_one_way)} if book.accept_one_way else {}),
    ):
        if row:
            lines.append(f"{name}: {flow(row)}")
    if book.waivers:
        lines.append("waivers:")
    for each in book.waivers:
        row = {"gate": each.gate, "stage": each.stage, **({"service": each.service} if each.service else {})}
        row |= {"owner": each.owner, "reason": each.reason, "until": _time(each.until)}
        lines.append(f"  - {flow(row)}")
    return lines


def _changed(value: Any, usual: Any, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        names[each.name]: getattr(value, each.name)
        for each in fields(value)
        if each.name in names and getattr(value, each.name) != getattr(usual, each.name)
    }


def _budgets(budgets: Budgets) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if budgets.latency_ms:
        row["latency"] = shown(budgets.latency_ms / 1000)
    if budgets.memory_mib:
        row["memory"] = f"{budgets.memory_mib}Mi"
    if budgets.cpu_m:
        row["cpu"] = f"{budgets.cpu_m}m"
    if budgets.restarts:
        row["restarts"] = budgets.restarts
    return row


def _metrics(metrics: Metrics) -> dict[str, Any]:
    row = _changed(
        metrics, Metrics(), {"service": "service", "pod_label": "podLabel", "namespace_label": "namespaceLabel"}
    )
    if metrics.ingest_delay_s != Metrics().ingest_delay_s:
        row["ingestDelay"] = shown(metrics.ingest_delay_s)
    return row


def _holds(book: Runbook) -> dict[str, Any]:
    usual = type(book.holds)()
    row = _changed(
        book.holds, usual, {"users": "users", "percent": "percent", "least": "least", "critical": "critical"}
    )
    if book.holds.window_s != usual.window_s:
        row["window"] = shown(book.holds.window_s)
    return row


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
