"""What a runbook means, beyond its form: names that must exist, orders that must hold, skips that must be owned."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from meshup.model.runbook import GateSpec, Runbook, Service, Stage, StepSpec, Wave
from meshup.runbook.items import Items
from meshup.runbook.kinds import Kinds

GATELESS = frozenset({"minimise"})


def check(book: Runbook, say: Items, kinds: Kinds, *, now: datetime | None) -> None:
    """Add every problem of meaning. now: None = expiry is not checked."""
    _mesh(book, say, kinds)
    _services(book, say)
    _waves(book, say)
    _stages(book, say)
    _order(book, say)
    _waivers(book, say, kinds, now=now)
    _ingress(book, say)


def _near(name: str, known: list[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{found[0]}"?' if found else ""


def _mesh(book: Runbook, say: Items, kinds: Kinds) -> None:
    if kinds.drivers and book.mesh.driver not in kinds.drivers:
        say.say(
            "MU1301",
            f'there is no driver "{book.mesh.driver}"; known: {", ".join(kinds.drivers)}',
            ("mesh", "driver"),
            hint=_near(book.mesh.driver, list(kinds.drivers)),
        )
    if book.mesh.manifests.source in ("directory", "helm") and not book.mesh.manifests.path:
        say.say("MU1302", f"manifests from {book.mesh.manifests.source} need a path", ("mesh", "manifests"))


def _services(book: Runbook, say: Items) -> None:
    seen: dict[str, int] = {}
    for number, each in enumerate(book.services):
        if each.id in seen:
            say.say(
                "MU1303",
                f"the service {each.id} stands twice; first as item {seen[each.id] + 1}",
                ("services", number, "name"),
            )
        seen.setdefault(each.id, number)
    objects = Counter((each.namespace, each.workload.kind, each.workload.name) for each in book.services)
    for number, each in enumerate(book.services):
        if objects[each.namespace, each.workload.kind, each.workload.name] > 1:
            say.say(
                "MU1304",
                f"{each.workload} belongs to several services of the runbook",
                ("services", number, "workload"),
                severity="warning",
            )
        if not each.owner:
            say.say(
                "MU1305",
                f"the service {each.id} has no owner: nobody can opt it in",
                ("services", number),
                severity="warning",
            )


def _waves(book: Runbook, say: Items) -> None:
    ids = [each.id for each in book.services]
    by_id = {each.id: each for each in book.services}
    placed: dict[str, str] = {}
    names: set[str] = set()
    for number, wave in enumerate(book.waves):
        _qualifying(wave, number, by_id, say)
        if wave.name in names:
            say.say("MU1306", f'the wave "{wave.name}" stands twice', ("waves", number, "name"))
        names.add(wave.name)
        if not wave.services and wave.selector is None:
            say.say("MU1307", f'the wave "{wave.name}" has neither services nor a selector', ("waves", number))
        if wave.services and wave.selector is not None:
            say.say(
                "MU1307",
                f'the wave "{wave.name}" has services and a selector; one of them',
                ("waves", number, "selector"),
                key=True,
            )
        for place, service in enumerate(wave.services):
            loc = ("waves", number, "services", place)
            if service not in by_id:
                say.say(
                    "MU1308",
                    f'the wave "{wave.name}" names the unknown service "{service}"',
                    loc,
                    hint=_near(service, ids),
                )
            elif service in placed:
                say.say("MU1309", f"the service {service} is in the wave {placed[service]} already", loc)
            else:
                placed[service] = wave.name
                if by_id[service].critical and number == 0 and len(book.waves) > 1 and not wave.qualifies:
                    say.say(
                        "MU1310",
                        f"the critical service {service} is in the first wave; start off the critical path",
                        loc,
                        severity="warning",
                    )


def _qualifying(wave: Wave, number: int, by_id: Mapping[str, Service], say: Items) -> None:
    """Say who can't qualify a release: only those who depend on it most can."""
    for place, service in enumerate(wave.services if wave.qualifies else ()):
        if service in by_id and not by_id[service].critical:
            say.say(
                "MU1326",
                f'the wave "{wave.name}" qualifies a release, and {service} is not critical',
                ("waves", number, "services", place),
            )


def _stages(book: Runbook, say: Items) -> None:
    known = [each.name for each in book.waves]
    names: set[str] = set()
    used: dict[str, str] = {}
    for number, stage in enumerate(book.stages):
        if stage.name in names:
            say.say("MU1311", f'the stage "{stage.name}" stands twice', ("stages", number, "name"))
        names.add(stage.name)
        for place, wave in enumerate(stage.waves):
            if wave not in known:
                say.say(
                    "MU1312",
                    f'the stage "{stage.name}" names the unknown wave "{wave}"',
                    ("stages", number, "waves", place),
                    hint=_near(wave, known),
                )
            elif wave in used and any(step.kind == "enrol" for step in stage.steps):
                say.say(
                    "MU1313",
                    f'the wave "{wave}" moves in the stage {used[wave]} already',
                    ("stages", number, "waves", place),
                )
            elif any(step.kind == "enrol" for step in stage.steps):
                used[wave] = stage.name
        enrols = any(step.kind == "enrol" for step in stage.steps)
        if enrols and not stage.waves:
            say.say(
                "MU1314", f'the stage "{stage.name}" enrols services and names no waves', ("stages", number, "name")
            )
        _twice(stage, number, say)
        if not stage.gates and not stage.before:
            say.say(
                "MU1315",
                f'the stage "{stage.name}" has no gate: nothing would show that it went well',
                ("stages", number, "name"),
            )
        if not stage.gates and any(
            step.kind in ("enrol", "strict", "install-control-plane", "ingress-gateway", "install-ledger")
            for step in stage.steps
        ):
            say.say(
                "MU1315",
                f'the stage "{stage.name}" changes things and has no gate after them',
                ("stages", number, "name"),
            )
    for number, unplaced in enumerate(book.waves):
        if unplaced.name not in used and not any(unplaced.name in stage.waves for stage in book.stages):
            say.say(
                "MU1316", f'the wave "{unplaced.name}" is in no stage', ("waves", number, "name"), severity="warning"
            )


def _twice(stage: Stage, number: int, say: Items) -> None:
    parts: dict[str, Sequence[StepSpec | GateSpec]] = {
        "before": stage.before,
        "steps": stage.steps,
        "gates": stage.gates,
    }
    for part, several in parts.items():
        seen: list[StepSpec | GateSpec] = []
        for place, one in enumerate(several):
            bare = replace(one, at=None)
            if bare in seen:
                what = f'the stage "{stage.name}" has {one.kind} twice, word for word'
                say.say("MU1324", what, ("stages", number, part, place))
            seen.append(bare)


ORDER = ("install-control-plane", "ingress-gateway", "enrol", "permissive", "strict", "minimise")


def _order(book: Runbook, say: Items) -> None:
    placed: dict[str, tuple[int, int]] = {}
    for number, stage in enumerate(book.stages):
        for at, step in enumerate(stage.steps):
            placed.setdefault(step.kind, (number, at))
    for earlier, later in (
        ("install-ledger", "install-control-plane"),
        ("install-control-plane", "enrol"),
        ("install-control-plane", "ingress-gateway"),
        ("enrol", "strict"),
        ("permissive", "strict"),
    ):
        if earlier in placed and later in placed and placed[earlier] > placed[later]:
            number, at = placed[later]
            say.say("MU1317", f"{later} stands before {earlier}", ("stages", number, "steps", at))
    if "install-ledger" in placed:
        _after_preflight(book, say, *placed["install-ledger"])
    if "strict" in placed:
        number, at = placed["strict"]
        stage = book.stages[number]
        if not any(gate.kind == "plaintext-callers" for gate in stage.before):
            say.say(
                "MU1318",
                "strict mode needs the gate plaintext-callers under `before`: evidence comes first",
                ("stages", number, "steps", at),
            )
        if not any(gate.kind == "strict-holds" for gate in stage.gates):
            say.say(
                "MU1318",
                "strict mode needs the gate strict-holds after it: the tripwire",
                ("stages", number, "steps", at),
            )


def _after_preflight(book: Runbook, say: Items, number: int, at: int) -> None:
    """Say where a step writes to a cluster that the runbook's preflight has not looked at yet."""
    asked = [
        (place, part)
        for place, stage in enumerate(book.stages)
        for part, several in (("before", stage.before), ("gates", stage.gates))
        if any(gate.kind == "preflight" for gate in several)
    ]
    if asked and not any(place < number or (place, part) == (number, "before") for place, part in asked):
        say.say(
            "MU1325",
            "install-ledger would write before the gate preflight was asked: put preflight under `before` of this stage",
            ("stages", number, "steps", at),
        )


def _waivers(book: Runbook, say: Items, kinds: Kinds, *, now: datetime | None) -> None:
    stages = [each.name for each in book.stages]
    known = [*kinds.gates, *kinds.checks]
    ids = [each.id for each in book.services]
    for number, each in enumerate(book.waivers):
        if known and each.gate not in known:
            say.say(
                "MU1319",
                f'there is no gate or check "{each.gate}" to waive',
                ("waivers", number, "gate"),
                hint=_near(each.gate, known),
            )
        if each.stage not in stages:
            say.say(
                "MU1319",
                f'there is no stage "{each.stage}"',
                ("waivers", number, "stage"),
                hint=_near(each.stage, stages),
            )
        if each.service and each.service not in ids:
            say.say(
                "MU1319",
                f'there is no service "{each.service}"',
                ("waivers", number, "service"),
                hint=_near(each.service, ids),
            )
        if now is not None and each.until <= now:
            say.say("MU1320", f"the waiver of {each.gate} ended {each.until:%Y-%m-%d}", ("waivers", number, "until"))


def _ingress(book: Runbook, say: Items) -> None:
    if book.ingress is None:
        return
    hosts = Counter(each.host for each in book.ingress.hosts)
    for number, host in enumerate(book.ingress.hosts):
        if hosts[host.host] > 1:
            say.say("MU1321", f"the host {host.host} stands twice", ("ingress", "hosts", number, "host"))
        paths = Counter((each.path, each.kind) for each in host.paths)
        for place, path in enumerate(host.paths):
            if paths[path.path, path.kind] > 1:
                say.say(
                    "MU1321",
                    f"the path {path.path} of {host.host} stands twice",
                    ("ingress", "hosts", number, "paths", place, "path"),
                )
    if not book.ingress.hosts and not book.ingress.source:
        say.say(
            "MU1322", "the ingress has neither hosts nor existing Ingress objects under `from`", ("ingress",), key=True
        )
    handoff = book.ingress.handoff
    if handoff is not None and handoff.until and handoff.on is None and not book.ingress.source:
        say.say("MU1323", "ingress.handoff.until needs `on`: which object shows it", ("ingress", "handoff"), key=True)
