"""What gates read from a Prometheus, over the samples a real one was asked about; and every way in which it can't tell."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fewpods import FewPods
from openmetrics import Loaded

from meshup.gates import BUILT_IN
from meshup.gates.finding import MOST_SCRAPED
from meshup.gates.gate import Blind, Eyes, Terms
from meshup.gates.sources import PAGES, counters, observed, source
from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.objects import Ref
from meshup.model.runbook import Budgets, Manifests, Mesh, Metrics, Pacing, Runbook, Service
from meshup.model.transport import Response
from meshup.model.verdict import Answer, Reading
from meshup.simulate.prometheus.api import answer

SAMPLES = Loaded((Path(__file__).parent.parent / "cases" / "prometheus" / "samples.om").read_text("utf-8"))
END = 1700000600.0
DELAY_S = 15.0
GATES = {each.kind: each for each in BUILT_IN}
FIRST = Reading(at=datetime.fromtimestamp(END - 400, UTC), elapsed_s=0.0)


class Now:
    def now(self):
        return datetime.fromtimestamp(END + DELAY_S, UTC)


def pod(name, app, *, namespace="shop", born=END - 600, owner="ReplicaSet", address="10.0.0.1"):
    image = "registry.example/proxyv2:1.30.3"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "labels": {"app": app},
            "ownerReferences": [{"kind": owner, "name": app, "apiVersion": "apps/v1"}],
        },
        "spec": {"containers": [{"name": "app"}, {"name": "istio-proxy", "image": image}]},
        "status": {
            "phase": "Running",
            "podIP": address,
            "startTime": datetime.fromtimestamp(born, UTC).isoformat(),
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "istio-proxy", "image": image, "ready": True}],
        },
    }


class Cluster(FewPods):
    """A cluster with some pods and a Prometheus; spoil: alters the answer to a query that has a word in it."""

    def __init__(self, pods, *, spoil=None, word=""):
        super().__init__(pods)
        self.spoil, self.word, self.queries = spoil, word, []

    def service_proxy(self, namespace, name, *, port, path, query=()):
        assert (namespace, name, port, path) == ("monitoring", "prometheus", "9090", "/api/v1/query")
        asked = dict(query)["query"]
        self.queries.append(asked)
        reply = answer(SAMPLES, path, query, END)
        return self.spoil(reply) if self.spoil and self.word in asked else reply


PODS = (pod("cart-1", "cart"), pod("cart-2", "cart"), pod("web-1", "web"))


def service(name, **more):
    on = Ref(api_version="apps/v1", kind="Deployment", namespace="shop", name=name)
    return Service(name=name, namespace="shop", workload=on, owner="team", **more)


def eyes(*, pods=PODS, services=("cart",), spoil=None, word="", since=END - 100, first=FIRST, metrics=None):
    every = (service("cart"), service("web"))
    manifests = Manifests(source="directory")
    book = Runbook(
        name="x",
        path="x.yaml",
        digest="",
        cluster_uid="",
        mesh=Mesh(driver="istio", release="1.30.3", revision="1-30-3", namespace="istio-system", manifests=manifests),
        ingress=None,
        services=every,
        waves=(),
        stages=(),
        pacing=Pacing(),
        budgets=Budgets(),
        metrics=metrics or Metrics(service="monitoring/prometheus:9090", ingest_delay_s=DELAY_S),
    )
    return Eyes(
        cluster=Cluster(list(pods), spoil=spoil, word=word),
        driver=IstioSidecar(),
        clock=Now(),
        book=book,
        services=tuple(each for each in every if each.name in services),
        place="onboard/one",
        revision="1-30-3",
        first=first,
        since=datetime.fromtimestamp(since, UTC) if since is not None else None,
    )


def changed(**parts):
    def spoil(reply):
        body = json.loads(reply.body)
        return replace(reply, body=json.dumps({**body, **parts}).encode())

    return spoil


def values(word):
    """Every value becomes another."""

    def spoil(reply):
        body = json.loads(reply.body)
        for each in body["data"]["result"]:
            each["value"][1] = word
        return replace(reply, body=json.dumps(body).encode())

    return spoil


def without(**labels):
    def spoil(reply):
        body = json.loads(reply.body)
        rows = body["data"]["result"]
        body["data"]["result"] = [r for r in rows if any(r["metric"].get(k) != v for k, v in labels.items())]
        return replace(reply, body=json.dumps(body).encode())

    return spoil


def refused(status, text):
    return lambda _: Response(status=status, headers={}, body=text.encode())


def test_both_sides_are_read_with_one_query_a_count():
    seeing = eyes()
    found = observed(seeing, reads="requests", longest_s=120.0)
    cart = found["services"]["shop/cart"]
    assert set(cart["own"]) == {"shop/cart-1", "shop/cart-2"}
    assert set(cart["callers"]) == {"shop/web"}
    # 30 + 1/3 requests each 15 s and pod, over 120 s
    assert cart["own"]["shop/cart-1"]["requests"] == pytest.approx(8 * (30 + 1 / 3), rel=0.01)
    assert cart["own"]["shop/cart-1"]["requests"].is_integer(), "what was counted, and nothing guessed"
    assert cart["own"]["shop/cart-1"]["failed"] in (2.0, 3.0)
    assert (found["window_s"], found["source"]) == (
        120.0,
        "Prometheus monitoring/prometheus:9090 (the mesh's standard metrics)",
    )
    assert len(seeing.cluster.queries) == 3 + 2 * 2


def test_a_pod_that_began_within_the_window_counts_from_its_first_second():
    born = (pod("cart-1", "cart", born=END - 110), *PODS[1:])
    spoiled = eyes(pods=born, spoil=without(pod="cart-1"), word="offset 120s))")
    assert observed(spoiled, reads="requests", longest_s=120.0)["services"]["shop/cart"]["own"].keys() >= {
        "shop/cart-1"
    }


def test_the_number_of_queries_does_not_grow_with_the_pods():
    many = [pod(f"other-{number}", "web", born=END - 20) for number in range(4 * MOST_SCRAPED)]
    few, more = eyes(), eyes(pods=(*PODS, *many))
    for each in (few, more):
        observed(each, reads="requests", longest_s=120.0)
        counters(each, PODS)
    assert len(few.cluster.queries) == len(more.cluster.queries)


def test_new_connections_are_named_by_the_pod_that_opens_them():
    found = observed(eyes(), reads="connections", longest_s=120.0)["services"]["shop/cart"]
    assert found["callers"]["shop/web"]["shop/web"]["connections"] == pytest.approx(24, rel=0.1)
    assert found["callers"]["shop/web"]["shop/web"]["connect_failures"] > 0
    assert set(found["own"]) == {"shop/cart-1", "shop/cart-2"}


def test_buckets_come_with_their_bounds():
    found = observed(eyes(), reads="buckets", longest_s=120.0)["services"]["shop/cart"]["own"]["shop/cart-1"]
    assert sorted(bound for bound, _ in found["buckets"] if bound is not None) == [5.0, 50.0]
    assert any(bound is None for bound, _ in found["buckets"])


def test_a_client_is_seen_by_what_it_sends():
    seeing = eyes(services=("web",))
    seeing = replace(seeing, services=(service("web", client_only=True),))
    found = observed(seeing, reads="requests", longest_s=120.0)["services"]["shop/web"]
    assert found["own"]["shop/web-1"]["requests"] > 200


def test_counters_of_a_proxy_are_those_of_its_newest_sample():
    found = counters(eyes(), PODS)["uid-cart-1"]
    assert (found.rejected, found.connected) == (1, True)
    assert (found.inbound_connections, found.inbound_tls) == (78, 74)
    assert found.active_plaintext == 1
    assert (found.refused_plaintext, found.handshakes) == (4, 78)
    assert found.sampled == END - 12


def test_the_first_look_only_marks_where_the_window_may_begin():
    seeing = eyes(since=None)
    assert observed(seeing, reads="requests", longest_s=120.0)["services"] == {}
    assert seeing.cluster.queries == []


def test_where_nothing_moves_the_window_begins_before_the_first_look():
    late = replace(eyes(), first=replace(FIRST, at=datetime.fromtimestamp(END - 60, UTC)))
    assert observed(late, reads="requests", longest_s=120.0)["window_s"] == 60.0
    assert observed(replace(late, moved=False), reads="requests", longest_s=120.0)["window_s"] == 120.0


TRAFFIC = "istio_requests_total"
NEWEST = "timestamp("
BLIND = {
    "refused": ({"spoil": refused(503, "overloaded"), "word": TRAFFIC}, "Prometheus answered 503 and no JSON"),
    "error": (
        {"spoil": refused(422, '{"status":"error","error":"too many samples"}'), "word": TRAFFIC},
        "query error 422: too many samples",
    ),
    "no object": ({"spoil": refused(200, "[]"), "word": TRAFFIC}, "query error 200"),
    "partial": ({"spoil": changed(warnings=["store gone"]), "word": TRAFFIC}, "the answer is partial: store gone"),
    "matrix": ({"spoil": changed(data={"resultType": "matrix", "result": []}), "word": TRAFFIC}, "gave a matrix"),
    "nothing": ({"spoil": changed(data=None), "word": TRAFFIC}, "gave a nothing"),
    "no labels": (
        {"spoil": changed(data={"resultType": "vector", "result": [1]}), "word": TRAFFIC},
        "a row without labels",
    ),
    "no series": (
        {"spoil": changed(data={"resultType": "vector", "result": []}), "word": "offset 120s) or"},
        "the queries ran and found 0 series of cart",
    ),
    "not scraped": (
        {"spoil": without(pod="cart-2"), "word": NEWEST},
        "Prometheus has no samples of the proxy of shop/cart-2",
    ),
    "caller not scraped": (
        {"spoil": without(pod="web-1"), "word": NEWEST},
        "Prometheus has no samples of the proxy of shop/web-1",
    ),
    "no time": ({"spoil": values("NaN"), "word": NEWEST}, "no samples of the proxy of shop/cart-1"),
    "stale": ({"spoil": values(str(END - 200)), "word": NEWEST}, "shop/cart-1 200 s ago at last"),
    "before the change": ({"since": END - 5}, "has not scraped the proxy of shop/cart-1 since the change"),
    "too short": (
        {"first": replace(FIRST, at=datetime.fromtimestamp(END - 30, UTC))},
        "30 s of samples so far, a rate needs 45 s",
    ),
    "kept its name": (
        {"pods": (pod("cart-1", "cart", born=END - 20, owner="StatefulSet"), *PODS[1:])},
        "20 s of samples so far, a rate needs 45 s",
    ),
    "restarted": (
        {"spoil": values("1"), "word": "resets("},
        "counters of the proxy of shop/cart-1 went back within 120 s: it restarted",
    ),
    "not scraped before": (
        {"spoil": without(pod="cart-2"), "word": "offset 120s))"},
        "Prometheus has no samples of the proxy of shop/cart-2 from 120 s ago",
    ),
    "other labels": (
        {"metrics": Metrics(service="monitoring/prometheus:9090", ingest_delay_s=DELAY_S, pod_label="pod_name")},
        "no samples of the proxy of shop/cart-1",
    ),
}


@pytest.mark.parametrize("why", sorted(BLIND))
def test_a_gate_is_blind_and_says_why(why):
    how, because = BLIND[why]
    with pytest.raises(Blind, match=r".") as blind:
        observed(eyes(**how), reads="requests", longest_s=120.0)
    assert because in str(blind.value)


@pytest.mark.parametrize("word", ["NaN", "+Inf", "-Inf", "words", None])
def test_a_value_that_is_no_number_is_unknown(word):
    gate = GATES["success-rate"]
    terms = Terms(params={"floor": 0.99}, patience=gate.patience)
    seen = gate.observe(eyes(spoil=values(word), word=TRAFFIC), terms)
    reading = Reading(at=Now().now(), elapsed_s=400.0, data=json.loads(json.dumps(seen)))
    assert gate.judge([FIRST, reading], terms).answer is Answer.UNKNOWN


def test_a_counter_that_is_missing_is_no_zero():
    with pytest.raises(Blind, match="no update_rejected counter of shop/cart-1"):
        counters(eyes(spoil=without(pod="cart-1"), word="update_rejected"), PODS)
    found = counters(eyes(spoil=without(pod="cart-1"), word="handshake"), PODS)
    assert found["uid-cart-1"].handshakes is None


def test_pods_that_left_or_are_of_others_are_no_evidence_of_those_that_came():
    found = observed(eyes(pods=(PODS[0], PODS[2])), reads="requests", longest_s=120.0)
    assert set(found["services"]["shop/cart"]["own"]) == {"shop/cart-1"}


def test_a_caller_that_only_just_began_is_not_waited_for():
    young = pod("web-2", "web", born=END - 20)
    assert observed(eyes(pods=(*PODS, young)), reads="requests", longest_s=120.0)["services"]
    with pytest.raises(Blind, match="no samples of the proxy of shop/web-2"):
        observed(eyes(pods=(*PODS, pod("web-2", "web", born=END - 100))), reads="requests", longest_s=120.0)


def test_without_a_prometheus_the_proxies_are_asked_themselves_and_few_only():
    seeing = eyes(metrics=Metrics())
    assert source(seeing.book, seeing.driver) == PAGES
    many = [pod(f"cart-{number}", "cart") for number in range(MOST_SCRAPED + 1)]
    with pytest.raises(Blind, match=f"{MOST_SCRAPED + 1} proxies are too many"):
        counters(seeing, many)
    assert seeing.cluster.queries == []
