"""What a real mesh showed is read as it was meant: counters, access logs, webhooks, pods."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meshup.meshes.istio.driver import IstioSidecar
from meshup.meshes.istio.enrol import chosen_by
from meshup.meshes.istio.proxy import release_of
from meshup.model.objects import ref_of
from meshup.model.snapshot import Identity, Snapshot

RECORDED = Path(__file__).parent.parent / "cases" / "recorded"
DRIVER = IstioSidecar()


def page(name):
    return DRIVER.read_counters((RECORDED / f"envoy-{name}.txt").read_text("utf-8"))


def recorded(name):
    return json.loads((RECORDED / name).read_text("utf-8"))


def snapshot(*objects):
    return Snapshot(
        cluster_uid="c",
        server_version="v1.34.4",
        identity=Identity(user="ana"),
        taken_at=datetime(2026, 11, 2, tzinfo=UTC),
        objects={ref_of(each): each for each in objects},
    )


# page: inbound connections, of them by mutual TLS, refused plaintext, handshakes
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("idle", (0, 0, 0, 0)),
        ("mtls", (2, 2, 0, 2)),
        ("plaintext", (3, 2, 0, 2)),
        ("strict-refused", (3, 2, 7, 2)),
        ("strict-after", (5, 4, 7, 4)),
        ("gateway", (None, None, None, None)),
        ("mtls-client", (None, None, 0, 0)),
    ],
)
def test_plaintext_is_the_difference_of_two_counters(name, wanted):
    seen = page(name)
    assert (seen.inbound_connections, seen.inbound_tls, seen.refused_plaintext, seen.handshakes) == wanted
    assert seen.rejected == 0


def test_a_proxy_that_hides_its_statistics_still_says_whether_its_control_plane_is_there():
    there, lost = page("default-matcher"), page("default-matcher-lost")
    assert (there.connected, there.rejected, there.inbound_connections) == (True, 0, None)
    assert (lost.connected, lost.rejected, lost.inbound_connections) == (False, 0, None)


def test_a_strict_port_counts_refusals_and_no_connections():
    before, after = page("plaintext"), page("strict-refused")
    assert after.inbound_connections == before.inbound_connections
    assert after.refused_plaintext > before.refused_plaintext


def test_a_caller_says_what_it_called():
    (edge,) = [each for each in page("mtls-client").edges if each.requests]
    assert (edge.direction, edge.peer, edge.requests, edge.failed, edge.connect_failures) == (
        "outbound",
        "shop/echo",
        50,
        0,
        0,
    )
    # Envoy merges histograms at its flush (5 s), so buckets run behind counters and never ahead.
    assert 0 < edge.buckets[float("inf")] <= edge.requests
    assert list(edge.buckets) == sorted(edge.buckets)


def test_a_counter_that_the_page_has_not_is_unknown_and_not_zero():
    seen = DRIVER.read_counters("envoy_server_uptime{} 5\n")
    assert (seen.inbound_connections, seen.inbound_tls, seen.refused_plaintext, seen.connected) == (None,) * 4
    assert seen.rejected is None


@pytest.mark.parametrize("text", ["", "# only a comment\n", "<html>502</html>", "{}", 'a{b="c"} x y z'])
def test_what_is_no_page_of_counters_is_said_to_be_none(text):
    with pytest.raises(ValueError, match=r"sample"):
        DRIVER.read_counters(text)


def test_a_rejected_configuration_counts_wherever_it_was_rejected():
    text = (
        "envoy_listener_manager_lds_update_rejected{} 1\n"
        "envoy_cluster_manager_cds_update_rejected{} 2\n"
        'envoy_http_rds_update_rejected{route_config_name="8080"} 3\n'
        'envoy_cluster_update_rejected{cluster_name="outbound|80||a.b.svc.cluster.local"} 4\n'
    )
    assert DRIVER.read_counters(text).rejected == 10


def test_the_access_log_tells_callers_and_who_came_in_plain():
    calls = DRIVER.read_calls((RECORDED / "access-log.txt").read_text("utf-8"))
    assert {(each.address, each.tls) for each in calls} == {("10.244.0.10", True), ("10.244.0.9", False)}
    assert {each.status for each in calls} == {200}
    assert [each.at for each in calls] == sorted(each.at for each in calls)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "2026-11-24T11:19:12.334168Z\tinfo\tFLAG: --help",
        '[2026-11-24T11:19:16.750Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 5 1 1 "-" "x" "y" "z" "10.0.0.1:80" '
        "outbound|80||echo.shop.svc.cluster.local 10.0.0.2:3 10.0.0.1:80 10.0.0.3:4 - default",
        "[" * 5000,
    ],
)
def test_lines_that_are_no_inbound_call_are_passed_over(line):
    assert DRIVER.read_calls(line + "\n") == ()


# pod labels, namespace labels, revision by the recorded webhooks (as dry-run pods on a real server came back)
@pytest.mark.parametrize(
    ("pod", "namespace", "revision"),
    [
        ({"istio.io/rev": "1-30"}, {}, "1-30"),
        ({"istio.io/rev": "1-31"}, {}, ""),
        ({}, {}, ""),
        ({"istio.io/rev": "default"}, {}, "1-30"),
        ({"istio.io/rev": "1-31"}, {"istio.io/rev": "1-30"}, "1-30"),
        ({"istio.io/rev": "1-31"}, {"istio-injection": "enabled"}, "1-30"),
        ({"istio.io/rev": "1-30", "sidecar.istio.io/inject": "false"}, {}, ""),
        ({"istio.io/rev": "1-30"}, {"istio-injection": "disabled"}, ""),
        ({"sidecar.istio.io/inject": "true"}, {}, "1-30"),
    ],
)
def test_the_clusters_own_selectors_say_which_revision_injects(pod, namespace, revision):
    assert chosen_by(pod, namespace, snapshot(*recorded("webhooks.json")["items"])) == revision


def test_a_native_sidecar_and_a_gateway_are_found_in_recorded_pods():
    found = DRIVER.proxy(recorded("pods-echo.json")[0])
    assert (found.release, found.revision, found.native, found.ready) == ("1.30.0-relabel", "1-30", True, True)
    gateway = DRIVER.proxy(recorded("pod-gateway.json"))
    assert (gateway.release, gateway.revision, gateway.native) == ("1.30.0-relabel", "1-30", False)
    assert all(DRIVER.proxy(each) is None for each in recorded("bad-pods.json")["items"])


def test_a_pod_says_its_revision_by_what_injected_it_and_not_by_its_label():
    pod = recorded("pods-echo.json")[0]
    lying = {**pod, "metadata": {**pod["metadata"], "labels": {"istio.io/rev": "1-99"}}}
    assert DRIVER.proxy(lying).revision == "1-30"


@pytest.mark.parametrize(
    ("image", "release"),
    [
        ("docker.io/istio/proxyv2:1.30.3", "1.30.3"),
        ("registry:5000/istio/proxyv2:1.30.3-distroless", "1.30.3"),
        ("registry:5000/istio/proxyv2", ""),
        ("istio/proxyv2:1.30.3@sha256:abc", "1.30.3"),
        ("istio/proxyv2@sha256:abc", ""),
        ("sha256:71e3e4", ""),
        ("", ""),
    ],
)
def test_a_release_is_read_from_the_running_image(image, release):
    assert release_of(image) == release


@pytest.mark.parametrize(
    ("release", "server", "fits"),
    [
        ("1.30.3", "v1.34.4", True),
        ("1.30.3", "v1.31.2", False),
        ("1.29.1", "v1.36.0", False),
        ("1.31.0-dev", "v1.34.4+meshup-simulator", True),
        ("7.0.0", "v1.34.4", None),
        ("1.30.3", "junk", None),
    ],
)
def test_releases_say_which_servers_they_fit_and_unknown_is_not_fitting(release, server, fits):
    found = DRIVER.supports(release, server)
    assert (None if found is None else found == "") is fits
