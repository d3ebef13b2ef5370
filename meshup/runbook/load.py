"""From a file to a typed runbook, or to every problem at once, each with its line."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from meshup.model.holds import HoldAt
from meshup.model.objects import Ref
from meshup.model.problem import Problem
from meshup.model.runbook import (
    Budgets,
    Host,
    Ingress,
    Manifests,
    Mesh,
    Metrics,
    OptIn,
    Pacing,
    Probe,
    Runbook,
    Service,
    Stage,
    TrafficHandoff,
    Waiver,
    Wave,
)
from meshup.model.runbook import Path as RoutePath
from meshup.runbook import form, marks, meaning
from meshup.runbook.items import Items
from meshup.runbook.kinds import Kinds

API_OF = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "CronJob": "batch/v1",
    "Job": "batch/v1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came of a file. runbook: None when its form is not right. problems: errors and warnings, in line order."""

    runbook: Runbook | None
    problems: tuple[Problem, ...]


def load_file(path: str, *, kinds: Kinds, now: datetime | None = None) -> Loaded:
    """Read and check a file. Raises OSError when it can't be read."""
    with Path(path).open("rb") as file:
        return load(file.read(marks.MOST_BYTES + 1), name=path, kinds=kinds, now=now)


def load(raw: bytes, *, name: str, kinds: Kinds, now: datetime | None = None) -> Loaded:
    """Read and check bytes. Never raises for what they hold."""
    value, source, problems = marks.read(raw, name)
    if value is None or not isinstance(value, dict):
        if not problems:
            problems = [
                Problem(
                    code="MU1108",
                    what="a runbook is a block of keys",
                    at=source.at(1, 1, 1),
                    fix="meshup init writes one",
                )
            ]
        return Loaded(runbook=None, problems=tuple(problems))
    from pydantic import ValidationError

    say = Items(source, kinds, problems)
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    try:
        file = form.RunbookFile.model_validate(value)
    except ValidationError as error:
        for each in error.errors():
            _of_pydantic(each, say)
        _items_of_raw(value, say)
        return Loaded(runbook=None, problems=_in_order(problems))
    book = _typed(file, say, source, path=name, digest=digest)
    meaning.check(book, say, kinds, now=now)
    wrong = sum(each.severity == "error" for each in problems)
    return Loaded(runbook=None if wrong else book, problems=_in_order(problems))


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    unique = {
        (each.code, each.what, each.at.line if each.at else 0, each.at.column if each.at else 0): each
        for each in problems
    }
    return tuple(sorted(unique.values(), key=lambda each: (each.at.line, each.at.column) if each.at else (0, 0)))


def _items_of_raw(value: dict[str, Any], say: Items) -> None:
    """Check steps and gates even when the form is not right elsewhere, so that all problems come at once."""
    stages = value.get("stages")
    for number, stage in enumerate(stages if isinstance(stages, list) else ()):
        if not isinstance(stage, dict):
            continue
        for field, read in (("steps", say.steps), ("before", say.gates), ("gates", say.gates)):
            several = stage.get(field)
            if isinstance(several, list) and all(isinstance(each, dict) for each in several):
                read(several, ("stages", number, field))


def _of_pydantic(error: Any, say: Items) -> None:
    loc = tuple(error["loc"])
    kind, message = error["type"], str(error["msg"]).removeprefix("Value error, ")
    path = ".".join(str(each) for each in loc)
    match kind:
        case "extra_forbidden":
            known = _fields_at(loc[:-1])
            near = difflib.get_close_matches(str(loc[-1]), known, n=1)
            inside = ".".join(str(each) for each in loc[:-1]) or "the runbook"
            say.say(
                "MU1203",
                f'unknown field "{loc[-1]}" in {inside}',
                loc,
                key=True,
                hint=f'did you mean "{near[0]}"?' if near else "",
            )
        case "missing":
            inside = ".".join(str(each) for each in loc[:-1]) or "the runbook"
            say.say("MU1202", f'"{loc[-1]}" is missing in {inside}', loc[:-1], key=True)
        case _:
            shown = (
                f", found {str(error.get('input'))[:40]!r}"
                if not isinstance(error.get("input"), dict | list) and "value" not in message
                else ""
            )
            say.say(
                "MU1204", f"{path}: {message[:1].lower() + message[1:]}{shown if kind != 'value_error' else ''}", loc
            )


def _fields_at(loc: tuple[Any, ...]) -> list[str]:
    """Give the keys that are known at a path, by walking the models."""
    model: Any = form.RunbookFile
    for step in loc:
        if isinstance(step, int):
            continue
        found = next((field for name, field in model.model_fields.items() if step in (name, field.alias)), None)
        if found is None:
            return []
        model = _model_of(found.annotation)
        if model is None:
            return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_of(annotation: Any) -> Any:
    from typing import get_args

    if isinstance(annotation, type) and issubclass(annotation, form.Block):
        return annotation
    for each in get_args(annotation):
        found = _model_of(each)
        if found is not None:
            return found
    return None


def _typed(file: form.RunbookFile, say: Items, source: marks.Source, *, path: str, digest: str) -> Runbook:
    mesh = file.mesh
    return Runbook(
        name=file.metadata.name,
        path=path,
        digest=digest,
        cluster_uid=file.cluster.uid,
        mesh=Mesh(
            driver=mesh.driver,
            release=mesh.release,
            revision=mesh.revision,
            namespace=mesh.namespace,
            manifests=Manifests(source=mesh.manifests.source, path=mesh.manifests.path, digest=mesh.manifests.digest),
            values=mesh.values,
            managed_by=mesh.managed_by,
            keep_revisions=tuple(mesh.keep_revisions),
        ),
        ingress=_ingress(file.ingress),
        services=tuple(_service(each, source, number) for number, each in enumerate(file.services)),
        waves=tuple(
            Wave(
                name=each.name,
                services=tuple(each.services),
                selector=each.selector.model_dump(by_alias=True, exclude_defaults=True) if each.selector else None,
                require=each.require,
                qualifies=each.qualifies,
                at=source.where(("waves", number)),
            )
            for number, each in enumerate(file.waves)
        ),
        stages=tuple(
            Stage(
                name=each.name,
                steps=say.steps(each.steps, ("stages", number, "steps")),
                gates=say.gates(each.gates, ("stages", number, "gates")),
                before=say.gates(each.before, ("stages", number, "before")),
                waves=tuple(each.waves),
                on_fail=each.on_fail,
                at=source.where(("stages", number)),
            )
            for number, each in enumerate(file.stages)
        ),
        pacing=Pacing(
            in_flight=file.pacing.in_flight,
            new_connections_per_s=file.pacing.new_connections,
            failed_connections=file.pacing.failed_connections,
            blind=file.pacing.blind,
        ),
        budgets=Budgets(
            latency_ms=(file.budgets.latency or 0.0) * 1000,
            memory_mib=_mebibytes(file.budgets.memory),
            cpu_m=_millicores(file.budgets.cpu),
            restarts=file.budgets.restarts or 0,
        ),
        metrics=Metrics(
            service=file.metrics.service,
            ingest_delay_s=file.metrics.ingest_delay,
            pod_label=file.metrics.pod_label,
            namespace_label=file.metrics.namespace_label,
        ),
        holds=HoldAt(
            users=file.holds.users,
            percent=file.holds.percent,
            least=file.holds.least,
            window_s=file.holds.window,
            critical=file.holds.critical,
        ),
        waivers=tuple(
            Waiver(
                gate=each.gate,
                stage=each.stage,
                owner=each.owner,
                reason=each.reason,
                until=each.until,
                service=each.service,
                at=source.where(("waivers", number)),
            )
            for number, each in enumerate(file.waivers)
        ),
        accept_one_way=tuple(file.one_way.accept),
    )


def _service(each: form.ServiceBlock, source: marks.Source, number: int) -> Service:
    kind, _, name = each.workload.partition("/")
    return Service(
        name=each.name,
        namespace=each.namespace,
        workload=Ref(api_version=API_OF[kind], kind=kind, namespace=each.namespace, name=name),
        owner=each.owner,
        critical=each.critical,
        opt_in=OptIn(by=each.opt_in.by, at=each.opt_in.at) if each.opt_in else None,
        baseline_query=each.baseline.query if each.baseline else "",
        client_only=each.client_only,
        low_traffic=Probe(path=each.low_traffic.path, port=each.low_traffic.port, expect=each.low_traffic.expect)
        if each.low_traffic
        else None,
        at=source.where(("services", number)),
    )


def _ref(block: form.RefBlock) -> Ref:
    return Ref(api_version=block.api_version, kind=block.kind, namespace=block.namespace, name=block.name)


def _ingress(block: form.IngressBlock | None) -> Ingress | None:
    if block is None:
        return None
    handoff = block.handoff
    return Ingress(
        api=block.api,
        name=block.name,
        namespace=block.namespace,
        hosts=tuple(
            Host(
                host=host.host,
                tls_secret=host.tls_secret,
                paths=tuple(
                    RoutePath(
                        path=p.path, kind=p.kind, service=p.service, namespace=p.namespace, port=p.port, expect=p.expect
                    )
                    for p in host.paths
                ),
            )
            for host in block.hosts
        ),
        source=tuple(_ref(each) for each in block.source),
        untranslated=tuple(block.untranslated),
        handoff=TrafficHandoff(
            to=handoff.to,
            what=handoff.what,
            back=handoff.back,
            on=_ref(handoff.on) if handoff.on else None,
            until=dict(handoff.until),
        )
        if handoff
        else None,
    )


def _mebibytes(text: str | None) -> int:
    if not text:
        return 0
    for unit, size in (("Ki", 1 / 1024), ("Mi", 1), ("Gi", 1024), ("Ti", 1024 * 1024)):
        if text.endswith(unit):
            return int(int(text[:-2]) * size)
    return int(text) // 2**20


def _millicores(text: str | None) -> int:
    if not text:
        return 0
    return int(text[:-1]) if text.endswith("m") else int(float(text) * 1000)
