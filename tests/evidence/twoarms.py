"""A service with two revisions under one Prometheus: what tests of evidence sources look at."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / each) for each in ("gates", "simulator"))
from fewpods import FewPods
from openmetrics import Loaded

from meshup.gates.canary.port import Wanted
from meshup.gates.gate import Eyes
from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.objects import Ref
from meshup.model.runbook import Budgets, Manifests, Mesh, Metrics, Pacing, Runbook, Service
from meshup.model.sampled import written
from meshup.model.verdict import Reading
from meshup.simulate.prometheus.api import answer

END, BEGAN, DELAY_S = 1700000600.0, 1700000300.0, 5.0
OLD, NEW = "1-30", "1-31"
SAMPLES = Loaded((Path(__file__).parents[1] / "cases" / "prometheus" / "samples.om").read_text("utf-8"))
CLUSTER = "uid-of-kube-system"


class Without:
    """The same samples, without the metrics whose names begin so, and of some only what a filter lets through."""

    def __init__(self, *begin, source=SAMPLES, keep=lambda _: True):
        self._source, self._begin, self._keep = source, begin, keep

    def select(self, matchers, start, end):
        return [
            each
            for each in self._source.select(matchers, start, end)
            if not each.labels["__name__"].startswith(self._begin) and self._keep(each.labels)
        ]


RULES, STANDARD, ENDPOINTS = "workload:", "istio_", "envoy_cluster_endpoint_"


class Now:
    """A clock that stands still until it is moved."""

    def __init__(self, at=END + DELAY_S):
        self.at = at

    def now(self):
        return datetime.fromtimestamp(self.at, UTC)

    def elapsed(self):
        return self.at - 1_600_000_000


def pod(name, app, address, *, revision="", born=BEGAN - 100, word=None, phase="Running", restarts=0, leaving=False):
    image = "registry.example/proxyv2:1.30.3"
    labels = {"app": app, **({"service.istio.io/canonical-revision": word} if word else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "till",
            "uid": f"uid-{name}",
            "labels": labels,
            "annotations": {"istio.io/rev": revision} if revision else {},
            **({"deletionTimestamp": "2023-11-14T22:20:00Z"} if leaving else {}),
        },
        "spec": {"containers": [{"name": "app"}, *([{"name": "istio-proxy", "image": image}] if revision else [])]},
        "status": {
            "phase": phase,
            "podIP": address,
            "startTime": datetime.fromtimestamp(born, UTC).isoformat(),
            "conditions": [{"type": "Ready", "status": "True" if phase == "Running" else "False"}],
            "containerStatuses": [{"name": "istio-proxy", "image": image, "ready": True, "restartCount": restarts}],
        },
    }


def arms(*, words=True, gone=True):
    """The pods of both arms and of the caller. words: they have canonical revisions of their own."""
    old, new = ({"word": OLD}, {"word": NEW}) if words else ({}, {})
    return [
        pod("pay-old-1", "pay", "10.2.0.1", revision=OLD, **old),
        pod("pay-old-2", "pay", "10.2.0.2", revision=OLD, **old),
        pod("pay-new-1", "pay", "10.2.0.3", revision=NEW, **new),
        pod("pay-new-2", "pay", "10.2.0.4", revision=NEW, born=BEGAN + 20, **new),
        *([pod("pay-gone-1", "pay", "10.2.0.5", revision=OLD, phase="Succeeded", **old)] if gone else []),
        pod("front-1", "front", "10.2.1.1", revision=OLD),
        pod("front-2", "front", "10.2.1.2", revision=OLD),
    ]


class Cluster(FewPods):
    """Pods and a Prometheus. spoil: alters the answer to a query that has a word in it."""

    def __init__(self, pods, *, source=SAMPLES, spoil=None, word="", pages=None, now=END):
        super().__init__(pods)
        self.source, self.spoil, self.word = source, spoil, word
        self.pages, self.now, self.asked = pages or {}, now, []

    def uid(self):
        return CLUSTER

    def pod_proxy(self, namespace, name, *, port, path, query=()):
        self.asked.append(("pod", f"{namespace}/{name}"))
        return self.pages[f"{namespace}/{name}"]

    def service_proxy(self, namespace, name, *, port, path, query=()):
        assert (namespace, name, port) == ("monitoring", "prometheus", "9090")
        text = dict(query)["query"]
        self.asked.append((path, text))
        reply = answer(self.source, path, query, self.now + DELAY_S)
        return self.spoil(reply) if self.spoil and self.word in text else reply


def service(name, namespace="till", **more):
    on = Ref(api_version="apps/v1", kind="Deployment", namespace=namespace, name=name)
    return Service(name=name, namespace=namespace, workload=on, owner="team", **more)


def eyes(pods=None, *, services=("pay",), every=None, metrics=None, driver=None, now=None, **cluster):
    """What a source looks through. Further words go to the cluster."""
    every = every or (service("pay"), service("front"))
    book = Runbook(
        name="x",
        path="x.yaml",
        digest="",
        cluster_uid="",
        mesh=Mesh(
            driver="istio",
            release="1.31.0",
            revision=NEW,
            namespace="istio-system",
            manifests=Manifests(source="directory"),
        ),
        ingress=None,
        services=every,
        waves=(),
        stages=(),
        pacing=Pacing(),
        budgets=Budgets(),
        metrics=metrics or Metrics(service="monitoring/prometheus:9090", ingest_delay_s=DELAY_S),
    )
    return Eyes(
        cluster=Cluster(arms() if pods is None else pods, **cluster),
        driver=driver or IstioSidecar(),
        clock=now or Now(),
        book=book,
        services=tuple(each for each in every if each.name in services),
        place="upgrade/one",
        revision=NEW,
    )


def wanted(*names, callers=("till/front",)):
    return [Wanted(service=f"till/{name}", control=(), canary=(), callers=callers) for name in names or ("pay",)]


def began():
    return datetime.fromtimestamp(BEGAN, UTC)


class World:
    """Series made of what proxies would count: healthy, busy, scraped every 15 s from an hour before the beginning."""

    def __init__(self, *, end=END + 1200):
        self.rows, self.end = {}, end

    def put(self, name, labels, count, *, born=BEGAN - 3600, gone=None, shift=0.0):
        """Add one series. count: seconds since it was born -> value."""
        key = (("__name__", name), *sorted(labels.items()))
        times = range(int(born), int(min(self.end, gone or self.end)) + 1, 15)
        self.rows[key] = [(at + shift, float(count(at - born))) for at in times]

    def proxy(self, name, *, born=BEGAN - 3600, gone=None, rps=40, failed=0.0, home="till"):
        """Add what one pod's proxy counts of itself, in Envoy's own metrics, and what its kubelet does."""
        own, life = {"namespace": home, "pod": name}, {"born": born, "gone": gone}
        inbound = {"cluster_name": "inbound|8080||", **own}
        self.put("envoy_cluster_upstream_rq_active", {"cluster_name": "xds-grpc", **own}, lambda _: 1, **life)
        for word, share in (("2xx", 1 - failed), ("5xx", failed)):
            labels = {**inbound, "response_code_class": word}
            self.put("envoy_cluster_upstream_rq", labels, lambda s, share=share: int(s * rps * share), **life)
        for le, share in (("5", 0.5), ("50", 0.995), ("+Inf", 1)):
            labels = {**inbound, "le": le}
            self.put("envoy_cluster_upstream_rq_time_bucket", labels, lambda s, k=share: int(s * rps * k), **life)
        self.put("envoy_cluster_upstream_cx_total", inbound, lambda s: int(s * 5), **life)
        self.put("envoy_cluster_upstream_cx_connect_fail", inbound, lambda _: 0, **life)
        listener = {"listener_address": "0.0.0.0_15006", **own}
        self.put("envoy_listener_ssl_handshake", listener, lambda s: int(s * 5), **life)
        self.put("envoy_listener_ssl_connection_error", listener, lambda _: 0, **life)
        sidecar = {"container": "istio-proxy", "namespace": home, "pod": name}
        self.put("container_cpu_usage_seconds_total", sidecar, lambda s: s * 0.02, **life)
        self.put("container_memory_working_set_bytes", sidecar, lambda s: 6e7 + (s // 15 % 7) * 1e5, **life)

    def calls(
        self, caller, address, *, born=BEGAN - 3600, gone=None, rps=20, failed=0.0, callee="pay.till", home="till"
    ):
        """Add what a caller's proxy counts of one endpoint."""
        labels = {
            "envoy_cluster_name": f"outbound|80||{callee}.svc.cluster.local",
            "envoy_endpoint_address": f"{address}:8080",
            "namespace": home,
            "pod": caller,
        }
        counts = {"rq_total": rps, "rq_error": rps * failed, "cx_total": 2, "cx_connect_fail": 0}
        for word, rate in counts.items():
            self.put(f"envoy_cluster_endpoint_{word}", labels, lambda s, rate=rate: int(s * rate), born=born, gone=gone)

    def standard(self, *, words=((OLD, 0.0), (NEW, 0.0)), rps=80):
        """Add the callers' view in the mesh's standard metrics, by canonical revision."""
        for pod_name in ("front-1", "front-2"):
            for word, failed in words:
                labels = {
                    "reporter": "source",
                    "source_workload_namespace": "till",
                    "source_workload": "front",
                    "destination_workload_namespace": "till",
                    "destination_workload": "pay",
                    "destination_canonical_revision": word,
                    "namespace": "till",
                    "pod": pod_name,
                }
                for code, share in (("200", 1 - failed), ("503", failed)):
                    requests = {**labels, "response_code": code}
                    self.put("istio_requests_total", requests, lambda s, k=share: int(s * rps * k))
                for le, share in (("5", 0.5), ("50", 0.995), ("+Inf", 1)):
                    timed = {**labels, "response_code": "200", "le": le}
                    self.put("istio_request_duration_milliseconds_bucket", timed, lambda s, k=share: int(s * rps * k))

    def select(self, matchers, start, end):
        """Be a source of series."""
        loaded = Loaded("")
        loaded.rows = self.rows
        return loaded.select(matchers, start, end)


CALLED = {"pay-old-1": "10.2.0.1", "pay-old-2": "10.2.0.2", "pay-new-1": "10.2.0.3", "pay-new-2": "10.2.0.4"}


def healthy(*, failed=0.0):
    """Both arms serve, are called by two pods, and nothing is wrong; failed: share of the canary's requests that fail."""
    world = World()
    for name, address in CALLED.items():
        share = failed if "new" in name else 0.0
        born = BEGAN + 20 if name == "pay-new-2" else BEGAN - 100
        world.proxy(name, born=born, failed=share)
        for caller in ("front-1", "front-2"):
            world.calls(caller, address, born=born, failed=share)
    for caller in ("front-1", "front-2"):
        world.proxy(caller)
    return world


def played(source, seeing, *, looks=4, every=60.0, first=END):
    """Take looks as time goes by; give them and the readings that carry them."""
    taken, readings = [], []
    for number in range(looks):
        seeing.cluster.now = first + number * every
        seeing.clock.at = seeing.cluster.now + DELAY_S
        look = source.look(wanted(), began=began(), before=taken[-1] if taken else None)
        taken.append(look)
        readings.append(
            Reading(at=look.at, elapsed_s=look.elapsed_s, data=json.loads(json.dumps(written(look), allow_nan=False)))
        )
    return taken, readings
