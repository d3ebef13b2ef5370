"""Readings and terms written down in cases, made into values; and replies of a real proxy made into readings."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import yaml
from looking import CLUSTER, NEW, OLD, arm, look, sample

from meshup.gates import BUILT_IN
from meshup.gates.canary.terms import USUALLY
from meshup.gates.gate import Terms
from meshup.gates.scrape import edge_data
from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.rollout import rollout, trouble
from meshup.model.sampled import written
from meshup.model.verdict import Patience, Reading
from tests.gates.tape import load as load_tape
from tests.gates.tape import readings as readings_of
from tests.gates.tape import terms_of

CASES = Path(__file__).parent.parent / "cases"
BEGAN = datetime(2026, 11, 2, 10, tzinfo=UTC)
GATES = {each.kind: each for each in BUILT_IN}
DRIVER = IstioSidecar()


def paths():
    """Every case file: tests/cases/gates/KIND/NAME.yaml."""
    return sorted((CASES / "gates").glob("*/*.yaml"))


def load(path):
    """Give (gate, readings, terms, what is wanted)."""
    case = yaml.safe_load(path.read_text("utf-8"))
    gate = GATES[path.parent.name]
    if "tape" in case:
        tape, seen = played(case["tape"])
        assert tape["gate"] == gate.kind, f"{path.name} plays a tape of {tape['gate']}"
        return gate, list(seen), terms_of(tape), case
    patience = {**{key: getattr(gate.patience, key) for key in Patience.__slots__}, **case.get("patience", {})}
    terms = Terms(params=case.get("params", {}), patience=Patience(**patience))
    return gate, [reading(each) for each in case["readings"]], terms, case


@cache
def played(name):
    """Give (tape, readings) of a recording."""
    tape = load_tape(name)
    return tape, tuple(readings_of(tape))


def reading(row):
    """One row: after (s), and data, blind, compared, or recorded (a reply of a real cluster and how it is looked at)."""
    seconds = float(row.get("after", 0))
    data = row.get("data", {})
    if "compared" in row:
        data = compared(seconds, **row["compared"])
    if "recorded" in row:
        data = LOOKED[row["as"]](row["recorded"])
    return Reading(at=BEGAN + timedelta(seconds=seconds), elapsed_s=seconds, data=data, blind=row.get("blind", ""))


def compared(seconds, *, n=4000, share=0.0, worse=None, only="", began=BEGAN, canary=NEW, **about):
    """A look of a canary gate; n: requests of each arm a minute. worse: the canary's share that fails. only: one arm's name."""
    number, samples = seconds / 60, []
    for metric in USUALLY:
        several = 60 if metric == "memory" else n
        shares = (share, share if worse is None else worse) if metric == "errors" else (0.0, 0.0)
        arms = [arm(metric, number, n=several, share=each) for each in shares]
        arms = [None if only and word != only else each for word, each in zip(("control", "canary"), arms, strict=True)]
        samples.append(sample(metric, *arms))
    found = look(number, samples)
    if only:
        pairs = [replace(each, **{word: () for word in ("control", "canary") if word != only}) for each in found.pairs]
        found = replace(found, pairs=tuple(pairs))
    usual = {"cluster": CLUSTER, "control": OLD, "canary": canary, "services": 1, "wave": ["shop/cart"], "periodic": []}
    return {**written(found), "began": str(began), "about": {**usual, **about}}


def _page(name):
    return DRIVER.read_counters((CASES / "recorded" / name).read_text("utf-8"))


def _items(name):
    found = yaml.safe_load((CASES / "recorded" / name).read_text("utf-8"))
    return found if isinstance(found, list) else found.get("items", [found])


def _strict(name):
    page = _page(name)
    row = {
        "pod": "shop/echo",
        "refused": page.refused_plaintext,
        "tls": page.inbound_tls,
        "handshakes": page.handshakes,
    }
    return {"reverted": "", "proxies": {"u1": row}}


def _plaintext(name):
    page = _page(name)
    row = {
        "service": "shop/echo",
        "pod": "shop/echo",
        "connections": page.inbound_connections,
        "tls": page.inbound_tls,
        "active_plaintext": page.active_plaintext,
        "refused": page.refused_plaintext,
    }
    calls = DRIVER.read_calls((CASES / "recorded" / "access-log.txt").read_text("utf-8"))
    plain = {each.address: {"count": 1, "last": each.at} for each in calls if each.tls is False}
    known = dict.fromkeys(plain, "CronJob shop/reports (owner team-reports)")
    return {"proxies": {"u1": row}, "callers": plain, "addresses": known, "without": []}


def _sync(name):
    page = _page(name)
    return {"pods": {"u1": {"pod": "shop/echo", "rejected": page.rejected, "connected": page.connected}}}


def _edges(name):
    edge = next((edge_data(each) for each in _page(name).edges if each.direction == "outbound" and each.requests), None)
    return {
        "services": {"shop/echo": {"own": {}, "callers": {"shop/client": {"u1": edge} if edge else {}}}},
        "runs": {},
    }


def _proxies(name):
    rows = []
    for pod in _items(name):
        proxy = DRIVER.proxy(pod)
        row = {"pod": pod["metadata"]["name"], "release": None, "revision": None, "ready": None}
        if proxy is not None:
            row.update(release=proxy.release, revision=proxy.revision, ready=proxy.ready)
        rows.append(row)
    services = {"shop/echo": {"podless": False, "there": True, "pods": rows}}
    return {"services": services, "release": "1.30.0-relabel", "revision": "1-30"}


def _workloads(name):
    found = {}
    for each in _items(name):
        state = rollout(each)
        pods = int(each.get("status", {}).get("replicas", 0))
        found[each["metadata"]["name"]] = {
            "object": f"Deployment {each['metadata']['name']}",
            "there": True,
            "done": state.done,
            "because": state.because,
            "hopeless": state.hopeless,
            "podless": False,
            "pods": pods,
            "ready": int(each.get("status", {}).get("readyReplicas", 0)),
            "trouble": "",
        }
    return {"workloads": found}


def _pods(name):
    pod = next(each for each in _items(name) if trouble(each))
    row = {"object": "Deployment bad", "there": True, "done": False, "because": "0/1 pods available", "hopeless": False}
    return {"workloads": {"bad/x": {**row, "podless": False, "pods": 1, "ready": 0, "trouble": trouble(pod)}}}


LOOKED = {
    "strict": _strict,
    "plaintext": _plaintext,
    "sync": _sync,
    "edges": _edges,
    "proxies": _proxies,
    "workloads": _workloads,
    "pods": _pods,
}
