"""How much a plan asks of a server: counted in the server's own log, never in time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from bench import put, session
from toymesh import REV, STRICT, book, service, shop

from meshup.cli.playing import proposed, session_of
from meshup.cli.simulating import programs
from meshup.cluster.access import Access, Credential
from meshup.cluster.clock import RealClock
from meshup.cluster.connect import over
from meshup.cluster.credentials import Fixed
from meshup.cluster.https import HttpsTransport
from meshup.engine.execute import apply
from meshup.engine.observe import observe, with_objects
from meshup.engine.planning import make_plan
from meshup.engine.session import Silence
from meshup.model.objects import ref_of
from meshup.model.runbook import Wave
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.users import User
from meshup.simulate.clock import VirtualClock
from meshup.simulate.http import Front
from meshup.simulate.scenario import load

SIZE, CHANGED = 520, 30
REVIEWS = "selfsubjectaccessreviews"
NAMES = [f"s{number:03d}" for number in range(SIZE)]
KNOWN = 3
"""Who am I, the version, and what is served; the cluster's UID is in the list of namespaces."""


def enrolled(obj):
    return {**obj, "spec": {**obj["spec"], "template": _labelled(obj["spec"]["template"])}}


def _labelled(template):
    return {**template, "metadata": {"labels": {**template["metadata"]["labels"], REV: "2-0"}}}


@pytest.fixture(scope="module")
def large():
    """A server with more Deployments than a page holds, the first of which are not enrolled."""
    server = ApiServer(VirtualClock())
    first, *workloads = shop(NAMES)
    put(over(server, server.clock), [first, *workloads[:CHANGED], *map(enrolled, workloads[CHANGED:])])
    server.log.clear()
    return server


@pytest.fixture
def asked(large):
    """Give what was asked since the last call."""
    large.log.clear()

    def since():
        found = list(large.log)
        large.log.clear()
        return found

    return since


def onboarding():
    return book({"all": NAMES}, stages=[each for each in book({"all": NAMES}).stages if each.name == "onboard"])


def pages(log):
    return [each for each in log if any(key == "limit" for key, _ in each.query)]


def split(log):
    """Give (lists, dry runs, access reviews, everything else)."""
    reviews = [each for each in log if each.path.endswith(REVIEWS)]
    dry = [each for each in log if each.dry_run]
    rest = [each for each in log if each not in pages(log) and each not in reviews and each not in dry]
    return pages(log), dry, reviews, rest


def no_read_is_repeated(log):
    reads = Counter((each.method, each.path, each.query) for each in log if each.method == "GET")
    return [each for each, times in reads.items() if times > 1] == []


@pytest.mark.parametrize("full", [False, True])
def test_a_plan_asks_for_its_pages_its_changes_and_three_things_more(large, asked, full):
    plan = make_plan(session(over(large, large.clock)), onboarding(), full=full)
    log = asked()
    lists, dry, reviews, rest = split(log)
    assert len(list(plan.changes())) == CHANGED
    assert (len(dry), len(rest), reviews) == (CHANGED, KNOWN, [])
    assert Counter(each.path for each in lists)["/apis/apps/v1/deployments"] == 2
    assert len(lists) == len({each.path for each in lists}) + 1
    assert no_read_is_repeated(log)


def test_at_most_sixteen_requests_of_a_plan_are_under_way_at_once(large):
    front = Front(large, latency_s=0.002).start()
    try:
        cluster = over(HttpsTransport(Access(server=front.url, login=Fixed(Credential()))), RealClock())
        plan = make_plan(session(cluster, user=""), onboarding())
        assert len(list(plan.changes())) == CHANGED
        assert 1 < front.most_under_way <= 16
        assert cluster.counters.peak <= 16
    finally:
        front.stop()


def test_an_apply_with_nothing_to_do_costs_a_plan_and_writes_nothing(large, asked):
    around = session(over(large, large.clock))
    meant = book({"all": NAMES[CHANGED:]}, stages=onboarding().stages)
    outcome = apply(around, make_plan(around, meant))
    log = asked()
    _, dry, reviews, rest = split(log)
    assert (outcome.exit, outcome.run) == (0, "")
    assert not any(each.mutation for each in log)
    assert (dry, reviews, len(rest)) == ([], [], KNOWN)
    assert not any("meshup-system" in each.path for each in log)
    assert no_read_is_repeated(log)


def test_a_whole_runbook_keeps_the_bound_and_reads_nothing_twice():
    simulation = load("shop", programs=programs())
    book_of_shop = proposed(session_of(simulation, Silence()))
    began = len(simulation.server.log)
    plan = make_plan(session_of(simulation, Silence()), book_of_shop)
    log = simulation.server.log[began:]
    _, dry, reviews, rest = split(log)
    assert len(dry) <= len(list(plan.changes()))
    assert len(rest) == KNOWN
    assert no_read_is_repeated(log)
    assert len(reviews) <= len({each.split(" ")[0] + each.split(" ")[1] for each in plan.permissions})


def granted(user, namespace, *verbs):
    """A role and its binding: these verbs on everything, in a namespace or ("") in all."""
    api, scope = "rbac.authorization.k8s.io/v1", "" if namespace else "Cluster"
    meta = {"name": user, **({"namespace": namespace} if namespace else {})}
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": list(verbs)}]
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    role = {"kind": f"{scope}Role", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    return [
        {"apiVersion": api, "kind": f"{scope}Role", "metadata": meta, "rules": rules},
        {"apiVersion": api, "kind": f"{scope}RoleBinding", "metadata": meta, "roleRef": role, "subjects": subjects},
    ]


def two_namespaces():
    """A server with a service in each of two namespaces, and a runbook that puts a policy beside each."""
    server = ApiServer(VirtualClock())
    names = ("a", "b")
    put(over(server, server.clock), [each for name in names for each in shop(["web"], namespace=name)])
    services = tuple(service("web", namespace=each) for each in names)
    meant = book({}, stages=(replace(STRICT, waves=("w",)),))
    meant = replace(meant, services=services, waves=(Wave(name="w", services=tuple(each.id for each in services)),))
    return server, meant


def reviewed(server, began):
    return [each for each in server.log[began:] if each.path.endswith(REVIEWS)]


def test_a_right_that_is_held_everywhere_is_asked_for_once_whatever_the_number_of_namespaces():
    server, meant = two_namespaces()
    began = len(server.log)
    plan = make_plan(session(over(server, server.clock)), meant)
    both = {"delete configmaps a", "delete configmaps b"}
    assert both <= set(plan.permissions)
    kinds_and_verbs = {tuple(each.split(" ")[:2]) for each in plan.permissions}
    assert len(reviewed(server, began)) <= len(kinds_and_verbs)
    assert not any("may not" in each for each in plan.notes)


def test_a_right_that_is_not_held_everywhere_is_asked_for_in_each_namespace():
    server, meant = two_namespaces()
    rights = [*granted("bob", "", "get", "list"), *granted("bob", "a", "*"), *granted("bob", "b", "create", "patch")]
    put(over(server, server.clock), rights)
    plan = make_plan(session(over(server.as_user(User(name="bob")), server.clock), user=""), meant)
    assert any("delete configmaps b" in each for each in plan.notes)
    assert not any("delete configmaps a" in each for each in plan.notes)


def test_a_definition_of_the_meshs_own_domain_is_read_once_and_whole():
    server = ApiServer(VirtualClock())
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
    names = {"plural": "routes", "singular": "route", "kind": "Route", "listKind": "RouteList"}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    definitions = [
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"routes.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
        }
        for group in ("telemetry.mesh.example", "other.example")
    ]
    cluster = over(server, server.clock)
    put(cluster, definitions)
    seen = observe(cluster, server.clock, groups=("security.mesh.example",))
    own, foreign = map(ref_of, definitions)
    assert "schema" in seen.get(own)["spec"]["versions"][0]
    assert "schema" not in seen.get(foreign)["spec"]["versions"][0]
    assert with_objects(cluster, seen, [own], groups=("security.mesh.example",)) is seen
    again = with_objects(cluster, seen, [foreign], groups=("security.mesh.example",))
    assert "schema" in again.get(foreign)["spec"]["versions"][0]
