"""A bad release shows where its kind says, in its own pods alone, and the same seed tells the same story."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from watched import PROMETHEUS

from meshup.model.transport import Request
from meshup.simulate.api.problems import Refusal
from meshup.simulate.scenario import load
from meshup.simulate.world.badness import KINDS

GOOD, BAD = "1.29.4", "1.30.3"
MESHED = {"namespace": "shop", "replicas": 2, "revision": "1-29-4"}
HALF_WAY = {
    "name": "half-way",
    "namespaces": ["shop", "istio-system"],
    "revisions": [{"revision": "1-29-4", "release": GOOD}, {"revision": "1-30-3", "release": BAD}],
    "endpoint-counters": True,
    "services": [{**MESHED, "name": "web"}, {**MESHED, "name": "job"}, {**MESHED, "name": "cart", "replicas": 4}],
    "edges": [
        {"from": "shop/web", "to": "shop/cart", "rps": 30, "connections": 4},
        {"from": "shop/job", "to": "shop/cart", "rps": 10, "connections": 4},
    ],
    "objects": PROMETHEUS,
}


class HalfWay:
    """One Deployment of four pods: two of the old release, two of the new one, which may be bad; both serve."""

    def __init__(self, folder: Path, *bad: dict, seed: int = 1, **more: object) -> None:
        path = folder / "half-way.yaml"
        path.write_text(yaml.safe_dump({**HALF_WAY, **more, "releases": [{"release": BAD, **each} for each in bad]}))
        self.simulation = load(str(path), seed=seed)
        self.clock, objects = self.simulation.clock, self.simulation.server.objects
        template = {"metadata": {"labels": {"istio.io/rev": "1-30-3"}}}
        strategy = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}}
        objects.patch("deployments.apps", "shop", "cart", {"spec": {"strategy": strategy, "template": template}})
        self.clock.advance(0.5)
        objects.patch("deployments.apps", "shop", "cart", {"spec": {"paused": True}})
        self.clock.advance(10)

    def pods(self, name: str, revision: str = "") -> list[dict]:
        found = self.simulation.server.objects.list("pods", "shop", {"app": name})
        return [each for each in found if not revision or each["metadata"]["labels"]["istio.io/rev"] == revision]

    def page(self, pod: dict) -> dict[str, float]:
        """Give sample -> value of a proxy's page."""
        path = f"/api/v1/namespaces/shop/pods/{pod['metadata']['name']}:15090/proxy/stats/prometheus"
        text = self.simulation.server.send(Request(method="GET", path=path)).body.decode()
        rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}

    def own(self, sample: str) -> tuple[float, float]:
        """Add one sample over the pods of cart: (old release, new release)."""
        old, new = (sum(self.page(each)[sample] for each in self.pods("cart", rev)) for rev in ("1-29-4", "1-30-3"))
        return old, new

    def by_endpoint(self, word: str, *, caller: str = "web") -> tuple[float, float]:
        """Add one of the callers' counters by endpoint: (old release, new release)."""
        found = []
        for revision in ("1-29-4", "1-30-3"):
            ends = {f'envoy_endpoint_address="{each["status"]["podIP"]}:8080"' for each in self.pods("cart", revision)}
            rows = [row for pod in self.pods(caller) for row in self.page(pod).items()]
            found.append(
                sum(
                    value
                    for name, value in rows
                    if name.startswith(f"envoy_cluster_endpoint_{word}{{") and any(end in name for end in ends)
                )
            )
        return found[0], found[1]

    def ends(self) -> set[str]:
        """Give the addresses that serve as cart."""
        return {f"{each['status']['podIP']}:8080" for each in self.pods("cart")}

    def on_page(self, pod: dict) -> set[str]:
        """Give the addresses of which a proxy's page shows counts."""
        return {
            name.partition('envoy_endpoint_address="')[2].partition('"')[0]
            for name in self.page(pod)
            if name.startswith("envoy_cluster_endpoint_rq_total{")
        }

    def told(self, query: str, *, by: str = "pod") -> dict[str, float]:
        """Ask the Prometheus; give pod, or another label, -> value."""
        path = "/api/v1/namespaces/shop/services/prometheus:9090/proxy/api/v1/query"
        answer = self.simulation.server.send(Request(method="GET", path=path, query=(("query", query),)))
        return {row["metric"].get(by, ""): float(row["value"][1]) for row in json.loads(answer.body)["data"]["result"]}

    def names(self, revision: str) -> set[str]:
        return {each["metadata"]["name"] for each in self.pods("cart", revision)}

    def split(self, query: str) -> tuple[float, float]:
        """Add what the Prometheus tells of the pods of cart: (old release, new release)."""
        told = self.told(query)
        old, new = (sum(told.get(name, 0.0) for name in self.names(revision)) for revision in ("1-29-4", "1-30-3"))
        return old, new


def test_both_releases_of_one_deployment_serve_at_once(tmp_path):
    seen = HalfWay(tmp_path)
    assert len(seen.pods("cart", "1-29-4")) == len(seen.pods("cart", "1-30-3")) == 2
    before = seen.by_endpoint("rq_total")
    seen.clock.advance(120)
    old, new = (now - then for now, then in zip(seen.by_endpoint("rq_total"), before, strict=True))
    assert old == pytest.approx(new, abs=8) == pytest.approx(30 * 120 / 2, abs=8)


def test_errors_show_in_the_pods_of_the_bad_release_and_at_their_callers(tmp_path):
    seen = HalfWay(tmp_path, {"bad": "errors", "errors": 0.1})
    seen.clock.advance(300)
    prefix = 'http_conn_manager_prefix="inbound_0.0.0.0_8080"'
    old, new = seen.own(f'envoy_http_downstream_rq{{response_code_class="5xx",{prefix}}}')
    total = seen.own(f"envoy_http_downstream_rq_total{{{prefix}}}")
    assert old <= 0.005 * total[0]
    assert new == pytest.approx(0.1 * total[1], rel=0.15)
    by_caller = [seen.by_endpoint("rq_error", caller=each) for each in ("web", "job")]
    assert sum(each[1] for each in by_caller) == pytest.approx(new, abs=4)
    assert sum(each[0] for each in by_caller) == pytest.approx(old, abs=4)
    assert seen.simulation.world.traffic.releases.suffered[BAD].failed == pytest.approx(new, rel=0.05, abs=6)
    assert GOOD not in seen.simulation.world.traffic.releases.suffered


def test_a_slow_release_moves_buckets_of_its_own_pods(tmp_path):
    seen = HalfWay(tmp_path, {"bad": "slow", "latency": 400})
    seen.clock.advance(200)
    prefix = 'http_conn_manager_prefix="inbound_0.0.0.0_8080"'
    quick = seen.own(f'envoy_http_downstream_rq_time_bucket{{{prefix},le="100"}}')
    total = seen.own(f"envoy_http_downstream_rq_time_count{{{prefix}}}")
    assert quick[0] > 0.95 * total[0]
    assert quick[1] == 0
    old, new = seen.split('increase(envoy_http_downstream_rq_time_bucket{le="100"}[2m])')
    assert old > 1000
    assert new == 0


def test_a_release_that_fails_at_connect_shows_at_callers_and_in_handshakes(tmp_path):
    seen = HalfWay(tmp_path, {"bad": "connect", "share": 0.25})
    seen.clock.advance(600)
    failed, tried = seen.by_endpoint("cx_connect_fail"), seen.by_endpoint("cx_total")
    assert failed[0] == 0
    assert failed[1] == pytest.approx(0.25 * tried[1], rel=0.2)
    handshakes = seen.own('envoy_listener_ssl_connection_error{listener_address="0.0.0.0_15006"}')
    assert handshakes[0] == 0
    assert handshakes[1] == pytest.approx(failed[1] + seen.by_endpoint("cx_connect_fail", caller="job")[1], abs=1)
    outbound = 'cluster_name="outbound|8080||cart.shop.svc.cluster.local"'
    at_callers = [seen.page(pod) for pod in seen.pods("web")]
    assert sum(each[f"envoy_cluster_upstream_cx_connect_fail{{{outbound}}}"] for each in at_callers) == failed[1]
    assert sum(each[f"envoy_cluster_ssl_connection_error{{{outbound}}}"] for each in at_callers) == failed[1]
    told = seen.told("sum(increase(envoy_cluster_upstream_cx_connect_fail[5m]))")[""]
    assert told > 0


def test_a_release_that_fails_for_one_caller_fails_for_no_other(tmp_path):
    seen = HalfWay(tmp_path, {"bad": "one-caller", "caller": "shop/job"})
    seen.clock.advance(120)
    job, web = seen.by_endpoint("rq_error", caller="job"), seen.by_endpoint("rq_error", caller="web")
    assert job[0] <= 5
    assert job[1] == pytest.approx(0.5 * seen.by_endpoint("rq_total", caller="job")[1], rel=0.15)
    assert max(web) <= 10


def test_who_is_failed_is_drawn_where_nobody_is_named(tmp_path):
    drawn = set()
    for seed in range(6):
        seen = HalfWay(tmp_path, {"bad": "one-caller"}, seed=seed)
        seen.clock.advance(60)
        hurt = [name for name in ("web", "job") if seen.by_endpoint("rq_error", caller=name)[1] > 50]
        assert len(hurt) == 1
        drawn |= set(hurt)
    assert drawn == {"web", "job"}


@pytest.mark.parametrize(("above", "fails"), [(9.0, True), (11.0, False)])
def test_a_release_fails_under_load_above_its_rate_alone(tmp_path, above, fails):
    # 40 requests a second over four pods are ten for each
    seen = HalfWay(tmp_path, {"bad": "load", "above": above})
    seen.clock.advance(60)
    old, new = seen.by_endpoint("rq_error")
    assert old <= 5
    assert (new > 100) == fails
    assert new > 100 or new <= 5


def test_a_release_goes_wrong_once_its_pods_are_old_enough(tmp_path):
    seen = HalfWay(tmp_path, {"bad": "late"})
    seen.clock.advance(1170)
    young = seen.by_endpoint("rq_error")[1]
    total = seen.by_endpoint("rq_total")[1]
    assert young <= 0.002 * total
    seen.clock.advance(90)
    assert seen.by_endpoint("rq_error")[1] - young > 100
    assert seen.by_endpoint("rq_error")[0] <= 0.002 * total


def test_a_leaky_release_grows_is_killed_and_starts_again_at_zero(tmp_path):
    seen = HalfWay(tmp_path, {"bad": "leaky", "grows": 96})
    memory = 'container_memory_working_set_bytes{container="istio-proxy"}'
    seen.clock.advance(300)
    old, new = seen.split(memory)
    assert new > 5 * old
    assert new == pytest.approx(seen.own("envoy_server_memory_allocated{}")[1], rel=0.1)
    assert all(each["status"]["initContainerStatuses"][1]["restartCount"] == 0 for each in seen.pods("cart"))
    requests = 'envoy_cluster_upstream_rq_total{cluster_name="inbound|8080||"}'
    before = seen.own(requests)
    # 960 MiB at 96 a minute are ten minutes; the scrape after them is 15 s later at most
    seen.clock.advance(330)
    for revision, times in (("1-29-4", 0), ("1-30-3", 1)):
        for pod in seen.pods("cart", revision):
            proxy = next(each for each in pod["status"]["initContainerStatuses"] if each["name"] == "istio-proxy")
            assert proxy["restartCount"] == times
            assert ("lastState" in proxy) == bool(times)
    after = seen.own(requests)
    assert after[0] > before[0]
    assert after[1] < before[1]
    assert seen.split(memory)[1] < new
    assert seen.split('resets(envoy_cluster_upstream_rq_total{cluster_name="inbound|8080||"}[5m])') == (0, 2)
    assert seen.simulation.world.traffic.releases.suffered[BAD].failed > 0


def test_a_release_that_rejects_its_configuration_does_so_at_the_start_and_at_a_change(tmp_path):
    seen = HalfWay(tmp_path, {"bad": "config"})
    assert seen.own("envoy_cluster_manager_cds_update_rejected{}") == (0, 2)
    meta = {"name": "default", "namespace": "shop"}
    policy = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": meta}
    kind = seen.simulation.server.registry.at("security.istio.io", "v1", "peerauthentications")
    seen.simulation.server.objects.create(kind, {**policy, "spec": {"mtls": {"mode": "PERMISSIVE"}}})
    seen.clock.advance(20)
    assert seen.own("envoy_cluster_manager_cds_update_rejected{}") == (0, 4)
    assert seen.split("envoy_cluster_manager_cds_update_rejected") == (0, 4)


def story(folder: Path, *, seed: int, reads: int) -> dict[str, float]:
    seen = HalfWay(folder, {"bad": "errors", "errors": 0.03}, {"bad": "connect"}, seed=seed)
    for _ in range(reads):
        seen.clock.advance(120 / reads)
        seen.simulation.world.traffic.count_all()
    pages = [seen.page(each) for name in ("web", "cart") for each in seen.pods(name)]
    return {
        f"{at} {name}": value
        for at, page in enumerate(pages)
        for name, value in page.items()
        if "5xx" in name or "fail" in name
    }


def test_the_same_seed_fails_the_same_requests_however_often_somebody_reads(tmp_path):
    first = story(tmp_path, seed=3, reads=1)
    assert sum(first.values()) > 100
    assert story(tmp_path, seed=3, reads=1) == first
    assert story(tmp_path, seed=3, reads=40) == first
    assert story(tmp_path, seed=4, reads=1) != first


def test_prometheus_tells_by_endpoint_what_the_callers_pages_do(tmp_path):
    seen = HalfWay(tmp_path, {"bad": "errors"})
    seen.clock.advance(200)
    where = 'envoy_cluster_name="outbound|8080||cart.shop.svc.cluster.local"'
    ends = sorted(each["status"]["podIP"] for each in seen.pods("cart", "1-30-3"))
    pattern = "|".join(f"{each}:8080" for each in ends).replace(".", "[.]")
    for word in ("rq_total", "rq_error", "cx_total"):
        query = f'sum(envoy_cluster_endpoint_{word}{{{where},envoy_endpoint_address=~"{pattern}",pod=~"web-.*"}})'
        # a scrape is up to 15 s behind the page
        assert seen.told(query)[""] == pytest.approx(seen.by_endpoint(word)[1], rel=0.15, abs=3)


def test_an_endpoint_is_forgotten_with_its_pod_on_pages_and_when_scraped_and_has_a_past(tmp_path):
    seen = HalfWay(tmp_path)
    seen.clock.advance(60)
    where, by = "envoy_cluster_endpoint_rq_total", "envoy_endpoint_address"
    stays = seen.ends()
    gone = seen.pods("cart", "1-29-4")[0]
    address = f"{gone['status']['podIP']}:8080"

    def shown() -> list[set[str]]:
        """Give the addresses of cart that both sources show now: each caller's page, and the newest scrapes."""
        pages = [seen.on_page(each) for name in ("web", "job") for each in seen.pods(name)]
        return [*pages, set(seen.told(f"sum by ({by}) ({where})", by=by))]

    assert shown() == [stays] * 5
    seen.simulation.server.objects.delete("pods", "shop", gone["metadata"]["name"], options={"gracePeriodSeconds": 0})
    assert all(address not in each for each in shown())
    seen.clock.advance(40)
    assert shown() == [seen.ends()] * 5
    past = seen.told(f"sum by ({by}) (count_over_time({where}[2m]))", by=by)
    assert past[address] >= 4, "its samples stay"
    assert set(past) > seen.ends()


def test_nobody_counts_by_endpoint_who_is_not_told_to(tmp_path):
    seen = HalfWay(tmp_path, **{"endpoint-counters": False})
    seen.clock.advance(60)
    assert seen.by_endpoint("rq_total") == (0, 0)
    assert seen.told("envoy_cluster_endpoint_rq_total") == {}
    server = seen.simulation.server
    kind = server.registry.at("networking.istio.io", "v1alpha3", "envoyfilters")
    patch = {"operation": "MERGE", "value": {"track_cluster_stats": {"per_endpoint_stats": True}}}
    spec = {"configPatches": [{"applyTo": "CLUSTER", "match": {"context": "SIDECAR_OUTBOUND"}, "patch": patch}]}
    meta = {"name": "counts", "namespace": "shop"}
    body = {"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": meta, "spec": spec}
    server.objects.create(kind, body)
    seen.clock.advance(60)
    assert sum(seen.by_endpoint("rq_total")) == pytest.approx(30 * 60, abs=8)
    server.objects.delete(kind, "shop", "counts")
    assert seen.by_endpoint("rq_total") == (0, 0)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"bad": "slwo"}, "did you mean slow"),
        ({"bad": "slow", "errors": 0.2}, "has no 'errors'"),
        ({"bad": "slow", "latency": -1}, "above 0"),
        ({"bad": "slow", "latency": "long"}, "above 0"),
        ({"bad": "errors", "errors": 1.5}, "at most 1"),
        ({"bad": "errors", "errors": float("nan")}, "at most 1"),
    ],
)
def test_a_release_that_cannot_be_bad_like_that_is_refused(tmp_path, spec, word):
    shop = load("shop")
    with pytest.raises(Refusal) as refused:
        shop.world.inject({"fault": "bad-release", "on": BAD, **spec})
    assert word in refused.value.message
    with pytest.raises(ValueError, match="a release of a scenario"):
        HalfWay(tmp_path, spec)


def test_a_mended_release_hurts_nobody_any_more(tmp_path):
    seen = HalfWay(tmp_path)
    name = seen.simulation.world.inject({"fault": "bad-release", "on": BAD})
    seen.clock.advance(30)
    hurt = seen.by_endpoint("rq_error")[1]
    assert hurt > 50
    assert seen.simulation.world.mend(name)
    seen.clock.advance(60)
    assert seen.by_endpoint("rq_error")[1] - hurt <= 5


def test_each_kind_is_tried_here():
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"bad": "{kind}"' in text for kind in KINDS)
