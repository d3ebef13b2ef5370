"""Waves that `init` proposes: off the critical path first, small at first and then wider; many alike are one row."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seen import snapshot
from test_plan import made
from toymesh import book, deployment, shop

from meshup.engine.propose import WAVE_SIZE, WIDEST, propose
from meshup.meshes import BUILT_IN
from meshup.views.plan import text

DRIVER = BUILT_IN[0]


def proposed(plain, critical, unwilling=0):
    objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}]
    for number in range(plain + critical + unwilling):
        each = deployment("shop", f"s{number:03d}")
        notes = {"meshup.dev/owner": "team"}
        if number < plain + critical:
            notes["meshup.dev/opt-in"] = "ana 2026-11-01T10:00:00Z"
        if plain <= number < plain + critical:
            notes["meshup.dev/critical"] = "true"
        each["metadata"]["annotations"] = notes
        objects.append(each)
    return propose(snapshot(objects), DRIVER)


@given(st.integers(0, 120), st.integers(0, 40), st.integers(0, 3))
def test_waves_grow_hold_everybody_once_and_end_with_the_critical_ones(plain, critical, unwilling):
    found = proposed(plain, critical, unwilling)
    moved = [service for wave in found.waves for service in wave.services]
    assert sorted(moved) == sorted(each.id for each in found.services if each.opt_in is not None)
    assert len(moved) == plain + critical == len(set(moved))
    by_id = {each.id: each.critical for each in found.services}
    assert [by_id[each] for each in moved] == sorted(by_id[each] for each in moved)
    kinds = [{by_id[each] for each in wave.services} for wave in found.waves]
    assert all(len(each) == 1 for each in kinds)
    sizes = [len(wave.services) for wave in found.waves if not by_id[wave.services[0]]]
    assert all(size <= WIDEST for size in sizes)
    if sizes:
        assert sizes[0] <= WAVE_SIZE
        assert all(after <= 2 * max(before, WAVE_SIZE) for before, after in itertools.pairwise(sizes))


def test_many_waves_that_read_alike_are_one_row_and_a_few_are_not():
    names = [f"s{number}" for number in range(6)]
    many = made(book({f"wave-{at}": [name] for at, name in enumerate(names, 1)}), snapshot(shop(names)))
    assert "wave-1 to wave-6  6 x 1 service" in text(many)
    few = made(book({f"wave-{at}": [name] for at, name in enumerate(names[:3], 1)}), snapshot(shop(names[:3])))
    assert "wave-1  " in text(few)
    assert "wave-3  " in text(few)


def service(namespace, name, *ports, headless=False):
    spec = {"ports": [{"port": port, "targetPort": target} for port, target in ports]}
    if headless:
        spec["clusterIP"] = "None"
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": name}, "spec": spec}


@pytest.mark.parametrize(
    ("services", "found"),
    [
        ([], ""),
        ([service("shop", "web", (9090, 9090))], ""),
        ([service("watch", "prometheus-node-exporter", (9100, 9100))], ""),
        ([service("watch", "prometheus", (9090, 9090))], "watch/prometheus:9090"),
        ([service("watch", "prometheus-server", (80, 9090))], "watch/prometheus-server:80"),
        ([service("watch", "kube-prometheus", (8080, "reloader"), (9090, "http-web"))], "watch/kube-prometheus:9090"),
        (
            [
                service("a", "prometheus-operated", (9090, 9090), headless=True),
                service("b", "prometheus", (9090, 9090)),
            ],
            "b/prometheus:9090",
        ),
    ],
)
def test_a_prometheus_is_found_by_its_name_and_where_its_service_leads(services, found):
    assert propose(snapshot(services), DRIVER).metrics.service == found
