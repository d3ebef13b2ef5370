"""Every word that `explain` knows, gathered from where it is defined."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshup.model.duration import span
from meshup.model.problem import Exit

CODE_MODULES = ("runbook", "cluster", "journal", "meshes", "steps", "gates", "engine", "cli")

STAGES: Mapping[str, str] = {
    "preflight": "Looks at the cluster before anything is written: versions, permissions, DNS, the injector, other meshes, "
    "quotas, Pod Security, declared protocols, disruption budgets, definitions and who owns each workload. Where the runbook "
    "says so, it installs the ledger then: meshup explain install-ledger.",
    "ingress": "Installs the control plane by revision and a new ingress gateway with routes to services that are not meshed "
    "yet, and proves every host and path through it. Real traffic moves in a handoff of its own.",
    "onboard": "Moves services whose owners opted in, wave by wave, off the critical path and small first. Each service is "
    "enrolled by a revision label on its pod template; that one write is its restart.",
    "mtls": "Lets meshed services speak mutual TLS while plaintext is still accepted, and counts who is still plaintext.",
    "strict": "Refuses plaintext, workload by workload, then namespace, then mesh: evidence before, a guard Job that takes "
    "it back if meshup dies, and a tripwire after.",
    "minimise": "Removes components and revisions that nothing uses, and says what that gives back. Only what meshup made.",
}

EXITS: Mapping[Exit, str] = {
    Exit.DONE: "Done, or nothing to do.",
    Exit.UNEXPECTED: "Unexpected error: a bug. A scrubbed report file is named.",
    Exit.USAGE: "Usage, or an invalid runbook or file. The cluster was not changed.",
    Exit.GATE_HELD: "A gate did not hold. The cluster is in the last good stage, or the wave holds in place because a "
    "verdict stayed unknown.",
    Exit.UNDONE: "A gate failed, its wave was undone, and the undo was verified.",
    Exit.WAITING: "Waiting for an approval, an opt-in, or a soak longer than the caller wants to wait. The lock is free; a "
    "later resume judges the soak from its recorded start.",
    Exit.REFUSED: "Refused: stale plan, lock held, wrong cluster, drift. Nothing was written.",
    Exit.UNREACHABLE: "Cluster unreachable or not permitted; or the identity is anonymous or has changed.",
    Exit.DEADLINE: "A deadline passed, or the API server was gone for too long. Resumable.",
    Exit.ROLLBACK_FAILED: "The rollback failed; a person must act. What is left of it is printed as kubectl commands.",
    Exit.INTERRUPTED: "Interrupted by SIGINT or SIGTERM. The current write was finished and journalled; resumable.",
}

IDEAS: Mapping[str, str] = {
    "runbook": "The YAML file: cluster, mesh and pinned version, services with owners, stages.",
    "stage": "Preflight, ingress, onboard, mtls, strict, minimise: ordered; has steps and gates.",
    "wave": "A named subset of services that move together inside a stage. The plan freezes its members.",
    "step": "A typed unit that yields changes. It is pure: the plan holds what it yields, and apply performs that.",
    "change": "One intended write: create, apply, label, restart, evict, delete, or handoff. It carries its inverse or says "
    "that it has none.",
    "gate": "A health condition with patience; gives a verdict: pass, fail, unknown or skipped. Only pass lets a stage go on.",
    "verdict": "pass, fail, unknown (no or too little evidence), skipped (with a reason from the runbook). Unknown holds.",
    "plan": "Ordered changes and gates computed from runbook and cluster; can be saved and is refused when it is stale.",
    "journal": "The append-only record of a run, written before each act; status and resume are folds over it.",
    "ledger": "Who runs which release, since when, why, until when: pins, opt-ins, rollbacks.",
    "trust": "How far a record can be relied on. enforced: made while the policies were proven to be in force, and moved on by a "
    "rollback of meshup's. declared: nobody checked it. inferred: seen in the pods, there is no record. unknown: there is a "
    "record, and you may not see whether the policies are in force. Numbers of different trust are never added up.",
    "pin": "One service held on one release by one user; the instruction and the record in one.",
    "restart-watch": "While services restart, their callers' counters of failed connections and TLS handshakes, looked at every 5 s. "
    "Ten lost by one caller, and a share above the usual one by more than pacing.failedConnections, take the wave back at once. "
    "What can't be read is said, and holds the wave only with pacing.blind: hold.",
    "guard": "A Job in the cluster, armed before strict mode is switched on, that puts it back when meshup stops beating.",
    "evidence": "The samples a verdict was made from; kept, so that the verdict can be made again. Counters of proxies come "
    "from the Prometheus that the runbook names (metrics.service), one grouped query per count whatever the number of "
    "services; without one from the proxies' own pages, at most 50 pods at once, of which the gate canary says how many of how "
    "many it sampled. Queries and pages go through the API server.",
    "canary": "Two revisions of a service compared while both serve: control and canary pods, equally fresh, the same minutes. "
    "Counts (errors, connection-failures, handshake-errors, restarts, and the share of requests slower than a bucket's bound) "
    "are tested over all looks together, exact given their totals; CPU and memory by ranks of at least 50 points each. A false "
    "stop has a chance of at most 2 % over a whole rollout: 1 % for errors that callers see, 1 % for all the rest. It passes "
    "only if harm was not found and the smallest harm would have been found; else it is unknown and says how much is missing. "
    "A service with lowTraffic is probed instead, and held against limits alone: its verdict says probed, no statistical evidence. "
    'A hard limit fails at one interval. How often the judge is wrong: meshup rehearse --judge. The gate: meshup explain "gate canary".',
    "handoff": "A change that somebody else makes (DNS, a load balancer, Git); meshup shows it and waits until it is so.",
    "owner": "The team or person who answers for a service; opts in, pins, rolls back.",
    "opt-in": "An owner's word that a service may move: meshup opt-in SERVICE, which writes an OptIn object into the "
    "service's namespace and needs no right beyond it. It beats the runbook and the annotation; meshup opt-out takes it back, "
    "and an opt-out always wins. The next plan takes it along. On the workload, before `meshup init`: kubectl annotate "
    "KIND/NAME -n NAMESPACE meshup.dev/opt-in='WHO 2026-11-02T09:00:00Z'; in a runbook that is there already: optIn: {by, at} "
    "at the service, and the service in a wave. Who is not opted in is touched by nobody.",
}


PLAYED = "A Pod whose image is called prometheus scrapes every proxy of the embedded cluster; its API takes a subset of PromQL."
BAD = (
    "A release of the mesh that is bad in a known way, to see whether a runbook's gates catch it: its pods suffer, whoever runs "
    "another release does not. The same seed gives the same failures.",
    "try the runbook's own release: meshup rehearse --bad KIND[,key=value]. It is played twice, without the fault too; a stop "
    "that both have caught nothing. Users are watched for an hour after a run that caught nothing.",
    "in a running simulator: meshup simulator fault bad-release:RELEASE,bad=KIND[,key=value]",
    "in a scenario file: releases: [{release: RELEASE, bad: KIND, key: value}]; endpoint-counters: true lets proxies count by "
    "endpoint, as an EnvoyFilter with per_endpoint_stats does; noise: true makes requests, their times and failures of chance",
    "kinds, with their values when nothing is said (latency in ms, grows in MiB a minute, above in requests a second and pod, "
    "after in seconds of age, errors and share from 0 to 1):",
)
MORE: Mapping[str, tuple[str, ...]] = {
    "rehearse": (
        PLAYED,
        "the subset: meshup explain promql",
        "--judge plays no runbook: it prints how often the canary judge stops what is good and misses what is bad.",
        "what is judged, and how: meshup explain canary",
        "--bad tells which gate of the runbook catches a bad release, and after how many failed user requests.",
        "the ways in which it can be bad: meshup explain bad-release",
    ),
    "simulator": (PLAYED, "the subset: meshup explain promql"),
}
"""What there is to say of a command beside its flags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One entry. sort: what it is (gate, step, error code, ...). lines: the text, already broken into paragraphs."""

    name: str
    sort: str
    lines: tuple[str, ...]


def _codes() -> Iterator[Word]:
    for package in CODE_MODULES:
        codes: Mapping[str, str] = importlib.import_module(f"meshup.{package}.codes").CODES
        for code, text in codes.items():
            yield Word(name=code, sort="error code", lines=(text,))


def _table(params: Mapping[str, tuple[type, object, str]]) -> tuple[str, ...]:
    lines = []
    for name, (kind, default, meaning) in params.items():
        usual = "required" if default is ... else f"default {default}" if default not in ("", None, ()) else "optional"
        lines.append(f"  {name} ({getattr(kind, '__name__', str(kind))}, {usual}): {meaning}")
    return tuple(lines) or ("  no parameters",)


def _said_of(kind: object) -> tuple[str, ...]:
    """Give what a kind of step or gate says of itself, as one paragraph; nothing when it says nothing."""
    text = " ".join((type(kind).__doc__ or "").split())
    return (text,) if text else ()


def _steps_and_gates() -> Iterator[Word]:
    from meshup.cli.kinds import gates, steps

    for name, step in steps().items():
        yield Word(name=name, sort="step", lines=(step.title, *_said_of(step), "parameters:", *_table(step.params)))
    for name, gate in gates().items():
        patience = gate.patience
        yield Word(
            name=name,
            sort="gate",
            lines=(
                f"holds when: {gate.title}",
                *_said_of(gate),
                f"reads: {gate.reads}",
                f"patience: up to {span(patience.limit_s)}, every {span(patience.every_s)}, {patience.in_a_row} in a row"
                + (f", at least {patience.least}" if patience.least else ""),
                "parameters:",
                *_table(gate.params),
            ),
        )


def words() -> Mapping[str, Word]:
    """Give every entry by its name, in a stable order: ideas, stages, steps, gates, checks, exit codes, error codes."""
    from meshup.cli.commands import COMMANDS
    from meshup.cli.kinds import checks, drivers
    from meshup.simulate.prometheus import promql
    from meshup.simulate.world import badness

    found: dict[str, Word] = {}
    for name, text in IDEAS.items():
        found[name] = Word(name=name, sort="idea", lines=(text,))
    subset = ("What the embedded Prometheus evaluates; the rest is refused by name.", *promql.subset())
    found["promql"] = Word(name="promql", sort="idea", lines=subset)
    found["bad-release"] = Word(name="bad-release", sort="idea", lines=(*BAD, *badness.described()))
    for name, text in STAGES.items():
        found[name] = Word(name=name, sort="stage", lines=(text,))
    for word in _steps_and_gates():
        found[f"gate {word.name}" if word.name in found else word.name] = word
    for name, (title, fix) in checks().items():
        found[name] = Word(name=name, sort="check", lines=(f"holds when: {title}", f"fix: {fix}"))
    for name, driver in drivers().items():
        found[name] = Word(name=name, sort="driver", lines=((driver.__doc__ or name).splitlines()[0],))
    for exit_code, text in EXITS.items():
        found[f"exit-{int(exit_code)}"] = Word(name=f"exit-{int(exit_code)}", sort="exit code", lines=(text,))
    for command, (_, does, hidden) in COMMANDS.items():
        if not hidden and command not in found:
            flags = f"flags: meshup {command} --help"
            found[command] = Word(name=command, sort="command", lines=(does, *MORE.get(command, ()), flags))
    for word in _codes():
        found[word.name] = word
    return found
