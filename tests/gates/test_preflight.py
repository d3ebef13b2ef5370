"""Every preflight check on a small cluster that is written down: what holds, what is refused, what could not be told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from meshup.gates.gate import Terms
from meshup.gates.preflight import CHECKS, Preflight
from meshup.gates.preflight.authority import Authority
from meshup.gates.preflight.facts import Facts, Jump
from meshup.gates.preflight.gate import rows_of
from meshup.gates.preflight.rights import ALWAYS, wanted
from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.runbook import Budgets, Ingress, Manifests, Mesh, Metrics, Pacing, Runbook, Waiver, Wave
from meshup.model.snapshot import ApiKind
from meshup.model.verdict import Reading
from tests.gates.tape import BOOK
from tests.steps.acting import KINDS, seen, service

CASES = Path(__file__).parent.parent / "cases" / "preflight"
CERTIFICATES = CASES.parent / "certificates"
PATHS = sorted(CASES.glob("*/*.yaml"))
BY_ID = {check.id: check for check in CHECKS}
NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
CANNOT_BE_TOLD = {
    "permissions": "an access review answers yes or no, and a kind that may not be listed is a right that is missing",
    "api-versions": "discovery answers or the whole gate is blind",
}
"""Checks without a case that is unknown, and why."""


def load(path):
    return yaml.safe_load(path.read_text("utf-8"))


def served(case):
    kinds = {**KINDS, "Lease": "coordination.k8s.io/v1"}
    return {
        (version, kind): ApiKind(api_version=version, kind=kind, plural=f"{kind.lower()}s", namespaced=True)
        for kind, version in kinds.items()
        if kind not in case.get("absent", ())
    }


def book(case):
    services = tuple(
        service(each) if isinstance(each, str) else service(each["is"], **{k: v for k, v in each.items() if k != "is"})
        for each in case.get("services") or ()
    )
    mesh = {"release": "1.30.3", "values": {}, **(case.get("mesh") or {})}
    ingress = case.get("ingress") and Ingress(api=case["ingress"], name="edge", namespace="edge", hosts=())
    until = NOW + timedelta(days=1)
    return Runbook(
        name="shop",
        path="shop.yaml",
        digest="sha256:1",
        cluster_uid="cluster-1",
        mesh=Mesh(
            driver="istio",
            release=mesh["release"],
            revision="1-30-3",
            namespace="istio-system",
            manifests=Manifests(source="stand-in"),
            values=mesh["values"],
        ),
        ingress=ingress or None,
        services=services,
        waves=(Wave(name="wave-1", services=tuple(each.id for each in services)),),
        stages=(),
        pacing=Pacing(),
        budgets=Budgets(),
        metrics=Metrics(service=""),
        waivers=tuple(
            Waiver(stage="preflight", owner="ana", reason="known", until=until, **each)
            for each in case.get("waivers", ())
        ),
    )


def facts(case):
    snapshot = replace(seen(case.get("seen")), server_version=case.get("server", "v1.34.4"), kinds=served(case))
    return Facts(
        snapshot=snapshot,
        book=book(case),
        driver=IstioSidecar(),
        denied=tuple(case.get("denied", ())),
        unread=case.get("unread", {}),
        jump=jump(case["jump"]) if "jump" in case else None,
    )


def jump(said):
    """A jump: the release's definitions, as `seen` writes objects, and the certificates by the names of their files."""

    def certificates(names):
        return "".join((CERTIFICATES / f"{name}.pem").read_text("utf-8") for name in names or ())

    authority = {
        key: certificates(value) if key in ("trusted", "signing") else value
        for key, value in said.get("authority", {"trusted": ["lasting"]}).items()
    }
    definitions = tuple(seen(said.get("definitions")).objects.values())
    return Jump(definitions=definitions, unread=said.get("unread", ""), authority=Authority(**authority))


def judged(path):
    """Give (what the check found, the gate's verdict when every other check holds)."""
    case = load(path)
    check = BY_ID[path.parent.name]
    rows = rows_of(check, facts(case))
    every = {each.id: rows if each is check else [] for each in CHECKS}
    reading = Reading(at=NOW, elapsed_s=0.0, data={"checks": every, "left_out": []})
    return rows, Preflight().judge([reading], Terms())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_check_finds_what_its_case_says(path):
    case = load(path)
    rows, verdict = judged(path)
    assert verdict.answer.word == case["answer"], verdict.because
    wanted = case.get("found")
    if wanted is not None:
        assert len(rows) == len(wanted), rows
        for row, each in zip(rows, wanted, strict=True):
            assert each.get("object", row["object"]) == row["object"]
            assert each.get("because", "") in row["because"]
            assert each.get("service", row["service"]) == row["service"]
            assert each.get("open", False) is row["open"]
    if "warnings" in case:
        assert f" {case['warnings']} warnings" in verdict.because
    if case["answer"] == "fail":
        assert verdict.hopeless
        assert verdict.because.startswith(f"{path.parent.name}: {rows[0]['object']}: {rows[0]['because']} (fix: ")
    assert case.get("fix", "") in (verdict.because if case["answer"] != "pass" else BY_ID[path.parent.name].fix)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_check_has_a_case_that_holds_one_that_does_not_and_one_that_is_unknown(check):
    cases = [(load(path), judged(path)[0]) for path in PATHS if path.parent.name == check.id]
    assert any(not rows for _, rows in cases), "none holds"
    against = [case for case, rows in cases if any(not row["open"] for row in rows)]
    assert any(
        each.get("fix") and all({"object", "because"} <= set(one) for one in each["found"]) for each in against
    ), "none names the object, the reason and the way out"
    assert {each["answer"] for each in against} == {"fail" if check.blocks else "pass"}
    unknown = any(row["open"] for _, rows in cases for row in rows)
    assert unknown is not (check.id in CANNOT_BE_TOLD)


def test_every_case_is_of_a_check():
    assert {path.parent.name for path in PATHS} == set(BY_ID)


@pytest.mark.parametrize("check", [each for each in CHECKS if each.reads], ids=lambda check: check.id)
def test_a_check_that_may_not_read_what_it_needs_does_not_hold(check):
    for kind in check.reads:
        assert [each["open"] for each in rows_of(check, facts({"unread": {kind: "forbidden"}}))] == [True], kind


def test_rights_are_those_that_the_runbook_will_use():
    found = set(wanted(BOOK))
    assert {
        ("patch", "apps/deployments", "shop"),
        ("patch", "batch/cronjobs", "data"),
        ("create", "gateway.networking.k8s.io/httproutes", "shop"),
        ("create", "gateway.networking.k8s.io/gateways", "edge"),
        ("create", "apiextensions.k8s.io/customresourcedefinitions", ""),
        ("create", "batch/jobs", "meshup-system"),
        ("delete", "apps/deployments", "istio-system"),
    } <= found
    bare = replace(BOOK, stages=(), ingress=None)
    assert set(wanted(bare)) == set(ALWAYS)
    assert not {each for each in wanted(replace(BOOK, ingress=None)) if "gateway" in each[1]}
    outside = replace(BOOK, mesh=replace(BOOK.mesh, managed_by="external"))
    assert not {each for each in wanted(outside) if "customresourcedefinitions" in each[1]}
