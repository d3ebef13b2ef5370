"""Record tapes on a real cluster: python -m tests.gates.record KUBECONFIG --istioctl PROGRAM --values FILE --fortio IMAGE.

The cluster is a new one with the Gateway API's types, a Prometheus that scrapes proxies at monitoring/prometheus:9090, and
meshup's own image where its nodes find it; it is left as the story ends. `--only the_ledger` needs an API server alone, and
is to be recorded again when a policy changes. The story: services and a mesh are installed the
way meshup installs them, and each gate observes where it passes, where it does not hold and where it can't tell.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import yaml

from meshup.cluster.clock import RealClock
from meshup.cluster.connect import over
from meshup.cluster.https import HttpsTransport
from meshup.cluster.kubeconfig import Choice, access
from meshup.engine.ledger import install, missing
from meshup.engine.session import Session
from meshup.gates.gate import Blind
from meshup.journal.approvals import approve
from meshup.journal.holder import this_process
from meshup.journal.home import ensure_home
from meshup.meshes.istio.render import render
from meshup.model.journal import Approved
from meshup.model.objects import Ref, ref_of
from meshup.model.problem import MeshupError
from meshup.model.rollout import rollout
from meshup.model.runbook import Manifests
from meshup.model.snapshot import Identity, Snapshot
from meshup.steps.ingress_gateway import IngressGateway
from meshup.steps.step import Scope
from meshup.steps.strict import guard_objects
from tests.gates.tape import BOOK, DRIVER, RELEASE, REVISION, SERVICES, TAPES, Taping, look, trimmed, written

PROMETHEUS = "monitoring/prometheus:9090"
PLAN = "sha256:5c1e0f3a77d24b6f8f0b8a0d2f3c9a51"
ECHO, CLIENT, REPORTS = (each.id for each in SERVICES)


def namespace(name, **labels):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def deployment(name, image, args, *, replicas=1, probe=True):
    container = {"name": name, "image": image, "imagePullPolicy": "IfNotPresent", "args": args}
    container["resources"] = {"requests": {"cpu": "10m", "memory": "20Mi"}}
    if probe:
        container["readinessProbe"] = {"httpGet": {"path": "/debug", "port": 8080}, "periodSeconds": 1}
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": 3}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }


def kube_service(name, port):
    spec = {"selector": {"app": name}, "ports": [{**port, "port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def job_of(image):
    args = [
        "load",
        "-quiet",
        "-qps",
        "2",
        "-c",
        "1",
        "-t",
        "15s",
        "-keepalive=false",
        "-allow-initial-errors",
        "http://echo.shop/echo",
    ]
    container = {"name": "reports", "image": image, "imagePullPolicy": "IfNotPresent", "args": args}
    spec = {"restartPolicy": "Never", "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "reports", "namespace": "data", "annotations": {"meshup.dev/owner": "team-reports"}},
        "spec": {
            "schedule": "* * * * *",
            "suspend": True,
            "jobTemplate": {
                "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": {"app": "reports"}}, "spec": spec}}
            },
        },
    }


def workloads(image):
    """Give the services of the story before any mesh."""
    serve = [
        "server",
        "-http-port",
        "8080",
        *(each for name in ("grpc", "tcp", "udp", "redirect") for each in (f"-{name}-port", "disabled")),
    ]
    load = [
        "load",
        "-quiet",
        "-qps",
        "20",
        "-c",
        "2",
        "-t",
        "0",
        "-keepalive=false",
        "-allow-initial-errors",
        "http://echo.shop/echo?status=200",
    ]
    return [
        namespace("shop"),
        namespace("data"),
        deployment("echo", image, serve, replicas=2),
        kube_service("echo", {"name": "http"}),
        kube_service("nobody", {"name": "http"}),
        deployment("client", image, load, probe=False),
        job_of(image),
    ]


def policy(name, space, mode, selector=None):
    spec = {"mtls": {"mode": mode}, **({"selector": {"matchLabels": selector}} if selector else {})}
    metadata = {"name": name, "namespace": space}
    return {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": metadata, "spec": spec}


class Story:
    """The cluster, and the tapes that are made on it."""

    def __init__(self, arguments):
        self.arguments = arguments
        transport = HttpsTransport(access(Choice(kubeconfig=arguments.kubeconfig)))
        self.taping = Taping(transport)
        self.cluster = over(transport, RealClock())
        values = yaml.safe_load(arguments.values.read_text("utf-8")) if arguments.values else {}
        manifests = Manifests(source="istioctl", path=arguments.istioctl)
        self.mesh = replace(BOOK.mesh, values=values, manifests=manifests)
        self.began = time.monotonic()
        self.made = []

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def until(self, what: str, holds: Callable[[], object], patience=150.0, every=0.5):
        """Wait until something is so. Raises SystemExit when it never is."""
        deadline = time.monotonic() + patience
        while True:
            try:
                if found := holds():
                    return found
            except MeshupError as odd:
                found = odd
            if time.monotonic() > deadline:
                sys.exit(f"not after {patience:.0f} s: {what}: {found}")
            time.sleep(every)

    def settled(self, *refs):
        for ref in refs:
            self.until(f"{ref} is rolled out", lambda ref=ref: rollout(self.cluster.get(ref)).done)

    def tape(
        self,
        name,
        gate,
        *,
        services=(),
        place="stage",
        params=None,
        patience=None,
        count=1,
        gap=10.0,
        plan="",
        between=None,
        revision=REVISION,
        metrics="",
    ):
        """Let a gate observe some times, and keep what it was answered."""
        tape = {
            "recorded": {"kubernetes": self.cluster.version(), "istio": RELEASE, "note": self.arguments.note},
            "gate": gate,
            "services": list(services),
            "place": place,
            "revision": revision,
            "metrics": metrics,
            "params": params or {},
            "patience": patience or {},
            **({"plan": plan} if plan else {}),
            "readings": [],
        }
        start = time.monotonic()
        for number in range(count):
            if number:
                if between is not None and number == 1:
                    between()
                time.sleep(max(0.0, start + number * gap - time.monotonic()))
            at, after = datetime.now(UTC).replace(microsecond=0), round(time.monotonic() - start, 1)
            self.taping.take()
            seen = look(tape, self.taping, at, after)
            row = {"at": at.isoformat(), "after": after, "exchanges": self.taping.take()}
            tape["readings"].append(row)
            self.say(f"{name}: {seen.blind or json.dumps(seen.data, default=str)[:300]}")
        path = TAPES / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written(tape), "utf-8")
        self.made.append(name)

    def page(self, name, pod):
        """Keep the counters of one proxy whose pod says nothing of statistics; false while it does not answer."""
        answer = self.cluster.pod_proxy("shop", pod, port=15090, path="/stats/prometheus")
        if answer.status != 200 or b"update_success" not in answer.body:
            return False
        head = (
            f"# Recorded through the pod proxy of a real API server {self.cluster.version()}: {self.arguments.note}.\n"
        )
        text = head + "# The pod says nothing of statistics, and neither does the mesh. Trimmed, lines verbatim.\n"
        (TAPES.parent / f"{name}.txt").write_text(text + trimmed("/stats/prometheus", answer.body), "utf-8")
        return True

    def scope(self, step, **params):
        """Give a step of meshup's what it plans from."""
        objects = [
            each
            for kind in (("apps/v1", "Deployment"), ("batch/v1", "CronJob"), ("v1", "Namespace"))
            for each in self.cluster.list(*kind)
        ]
        objects += list(self.cluster.list("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"))
        snapshot = Snapshot(
            cluster_uid="",
            server_version=self.cluster.version(),
            identity=Identity(user="ana"),
            taken_at=datetime.now(UTC),
            objects={ref_of(each): each for each in objects},
        )
        stage = next(each for each in BOOK.stages if each.name == step)
        return Scope(
            book=replace(BOOK, mesh=self.mesh),
            stage=stage,
            wave="",
            services=SERVICES,
            snapshot=snapshot,
            driver=DRIVER,
            params=params,
        )

    def enrol(self, *services):
        """Put workloads on the revision as meshup's enrolment says."""
        snapshot = self.scope("enrol").snapshot
        for each in services:
            found = DRIVER.enrolment(snapshot.get(each.workload), snapshot, REVISION)
            patch = {"labels": dict(found.set), "annotations": dict(found.annotations)}
            body = {"metadata": patch}
            for name in reversed(found.at[:-2]):
                body = {name: body}
            self.cluster.merge_patch(each.workload, body)

    def apply(self, *bodies):
        for body in bodies:
            self.cluster.apply(body, force=True)

    def policies(self, mode):
        """Put echo into a mode, at the narrowest level, as meshup does."""
        self.apply(policy("meshup-echo", "shop", mode, {"app": "echo"}))
        time.sleep(4)

    def run_reports(self):
        """Let the CronJob's Job run once, now."""
        made = self.cluster.get(SERVICES[2].workload)
        owner = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": "reports",
            "uid": made["metadata"]["uid"],
            "controller": True,
        }
        name = f"reports-{int(time.time()) // 60}{len(self.made)}"
        metadata = {"name": name, "namespace": "data", "ownerReferences": [owner]}
        body = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": made["spec"]["jobTemplate"]["spec"],
        }
        self.cluster.create(body)
        ref = ref_of(body)
        self.until(f"{ref} runs", lambda: (self.cluster.get(ref).get("status") or {}).get("ready"))
        return ref

    def finished(self, ref):
        self.until(f"{ref} is over", lambda: not (self.cluster.get(ref).get("status") or {}).get("active"))


def before_the_mesh(story):
    story.apply(*workloads(story.arguments.fortio))
    story.settled(*(each.workload for each in SERVICES[:2]))
    story.say("services run")
    for name, url in {
        "answers": "http://echo.shop:80/debug",
        "other-status": "http://echo.shop:80/echo?status=418",
        "nobody-behind": "http://nobody.shop:80/",
    }.items():
        story.tape(f"http-probe-{name}", "http-probe", params={"url": url})
    story.tape("preflight-holds", "preflight")
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team", "namespace": "shop"}}
    story.apply(
        {**quota, "spec": {"hard": {"requests.cpu": "60m"}}},
        namespace("data", **{"pod-security.kubernetes.io/enforce": "baseline"}),
    )
    ref = ref_of(quota)
    story.until(
        "the quota is counted",
        lambda: "requests.cpu" in ((story.cluster.get(ref).get("status") or {}).get("used") or {}),
    )
    story.tape("preflight-blocked", "preflight")
    story.cluster.delete(ref, uid=story.cluster.get(ref)["metadata"]["uid"])
    story.cluster.merge_patch(
        ref_of(namespace("data")), {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}}
    )


def the_mesh(story):
    rendered = render(story.mesh)
    story.apply(*rendered.objects)
    story.settled(*rendered.ready)
    story.say("the mesh is installed as meshup renders it")
    ensure_home(story.cluster)


def the_ingress(story):
    drafted = IngressGateway().draft(story.scope("ingress-gateway"))
    bodies = [each.change.body for each in drafted.drafts if hasattr(each.change, "body")]
    gateways = [each for each in bodies if each["kind"] in ("Namespace", "Gateway", "HTTPRoute")]
    probes = [each for each in bodies if each not in gateways]
    story.apply(*probes)
    story.until("the probe asks", lambda: _asked(story))
    story.tape("ingress-probe-nobody-there", "ingress-probe")
    story.apply(*gateways)
    story.settled(DRIVER.gateway_workload(BOOK.ingress))
    story.until("the probe is answered", lambda: '"status": 200' in _asked(story))
    story.tape("ingress-probe-answers", "ingress-probe")


def _asked(story):
    pods = list(
        story.cluster.list("v1", "Pod", namespace="meshup-system", labels="app.kubernetes.io/name=meshup-probe")
    )
    return story.cluster.logs("meshup-system", pods[0]["metadata"]["name"]) if pods else ""


def the_services(story):
    story.tape("proxies-right-bare", "proxies-right", services=[ECHO])
    job = story.run_reports()
    story.tape("jobs-finished-running", "jobs-finished", services=[REPORTS])
    story.finished(job)
    story.tape("jobs-finished-none", "jobs-finished", services=[REPORTS])
    story.enrol(*SERVICES[:2])
    story.tape("workloads-ready-moving", "workloads-ready", services=[ECHO, CLIENT])
    story.settled(*(each.workload for each in SERVICES[:2]))
    both = [ECHO, CLIENT]
    story.tape("workloads-ready-rolled-out", "workloads-ready", services=both)
    story.tape("proxies-right-moved", "proxies-right", services=both)
    story.tape("revisions-unused-kept", "revisions-unused")
    story.tape("revisions-unused-used", "revisions-unused", revision="1-31")
    story.tape("proxies-in-sync-connected", "proxies-in-sync", count=2)


def the_questions(story):
    story.tape("http-probe-behind-a-sidecar", "http-probe", params={"url": "http://echo.shop:80/debug"})
    story.tape("http-probe-gateway", "http-probe", params={"url": "http://edge-istio.edge:80/debug", "status": 404})
    asked = {"metrics": PROMETHEUS}
    story.tape("proxies-in-sync-by-prometheus", "proxies-in-sync", count=2, gap=8, **asked)
    echoed = 'sum(rate(envoy_cluster_upstream_rq_total{namespace="shop",app="client"}[30s]))'
    for name, query in {"keeps": echoed, "no-series": "sum(nobody_counts_this)", "bad-query": "sum("}.items():
        story.tape(f"prometheus-query-{name}", "prometheus-query", params={"query": query, "at-least": 1.0}, **asked)
    story.tape("prometheus-query-below", "prometheus-query", params={"query": echoed, "at-least": 1000000.0}, **asked)
    story.tape("prometheus-query-several-series", "prometheus-query", params={"query": "up", "at-least": 1.0}, **asked)
    now = datetime.now(UTC)
    story.tape("approval-none", "approval", place="strict/workload", plan=PLAN)
    until = f"{now + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    approve(story.cluster, Approved(at=f"{now:%Y-%m-%dT%H:%M:%SZ}", place="strict", user="ben", plan=PLAN, until=until))
    story.tape("approval-given", "approval", place="strict/workload", plan=PLAN)


def the_traffic(story):
    def new_connections():
        """A client that starts anew makes new connections; one that runs goes on with those it has."""
        client = {"spec": {"template": {"metadata": {"annotations": {"restarted": f"{time.monotonic():.0f}"}}}}}
        story.cluster.merge_patch(SERVICES[1].workload, client)
        story.settled(SERVICES[1].workload)

    long = {"window_s": 120.0}
    for gate in ("success-rate", "latency"):
        story.tape(f"{gate}-good", gate, services=[ECHO], patience={**long, "least": 200}, count=2, gap=14)
    asked = {"services": [ECHO], "patience": {**long, "least": 2}, "count": 2}
    story.tape("new-connections-pooled", "new-connections", gap=6, **asked)
    story.tape("new-connections-made", "new-connections", gap=14, between=new_connections, **asked)
    job = story.run_reports()
    window = {"window": 15.0}
    story.tape("plaintext-callers-named", "plaintext-callers", services=[ECHO], params=window, count=2, gap=8)
    story.finished(job)
    story.tape(
        "plaintext-callers-nobody",
        "plaintext-callers",
        services=[ECHO],
        params=window,
        patience={"least": 1},
        count=2,
        gap=17,
        between=new_connections,
    )


def strictness(story):
    story.policies("PERMISSIVE")
    echo = policy("meshup-echo", "shop", "STRICT", {"app": "echo"})
    found = [
        each
        for each in DRIVER.policies(
            SERVICES[:1], story.scope("strict").snapshot, story.mesh, level="workload", mode="strict"
        )
    ]
    made = guard_objects("workload", found, story.scope("strict", **{"guard-after": 25.0}))
    place = "strict/workload"
    story.tape("guard-armed-not-there", "guard-armed", place=place)
    story.apply(*made)
    story.tape("guard-armed-starting", "guard-armed", place=place)
    job = Ref(api_version="batch/v1", kind="Job", namespace="meshup-system", name="meshup-guard-workload")
    story.until("the guard runs", lambda: (story.cluster.get(job).get("status") or {}).get("ready") == 2)
    story.tape("guard-armed-runs", "guard-armed", place=place)
    story.apply(echo)
    time.sleep(4)
    story.tape("strict-holds-holds", "strict-holds", services=[ECHO], place=place, count=2, gap=5)
    lease = ref_of(made[-2])
    note = lambda: (story.cluster.get(lease)["metadata"].get("annotations") or {}).get("meshup.dev/reverted")  # noqa: E731
    story.until("the guard puts permissive back", note, patience=90)
    story.tape("strict-holds-reverted", "strict-holds", services=[ECHO], place=place, count=2, gap=3)
    story.cluster.merge_patch(lease, {"metadata": {"annotations": {"meshup.dev/disarmed": "true"}}})
    story.until("both guards are over", lambda: (story.cluster.get(job).get("status") or {}).get("succeeded") == 2)
    story.policies("STRICT")
    stays = "strict/elsewhere"
    story.tape(
        "strict-holds-refused", "strict-holds", services=[ECHO], place=stays, count=2, gap=9, between=story.run_reports
    )


def the_control_plane(story):
    """What stock Envoy rejects, and a control plane that is gone."""
    plane = Ref(api_version="apps/v1", kind="Deployment", namespace="istio-system", name=f"istiod-{REVISION}")
    containers = story.cluster.get(plane)["spec"]["template"]["spec"]["containers"]
    spoiled = [
        {**each, "value": "true"} if each["name"] == "PILOT_ENABLE_METADATA_EXCHANGE" else each
        for each in containers[0]["env"]
    ]

    def spoil():
        story.cluster.merge_patch(
            plane, {"spec": {"template": {"spec": {"containers": [{**containers[0], "env": spoiled}]}}}}
        )
        story.settled(plane)

    story.tape("proxies-in-sync-rejected", "proxies-in-sync", services=[ECHO], count=2, gap=25, between=spoil)
    story.cluster.merge_patch(plane, {"spec": {"template": {"spec": {"containers": [containers[0]]}}}})
    story.settled(plane)
    time.sleep(10)

    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": "shop"}}
    bare["metadata"]["labels"] = {"istio.io/rev": REVISION}
    bare["spec"] = {"containers": [{"name": "bare", "image": story.arguments.fortio, "args": ["server"]}]}
    story.apply(bare)
    story.until("the pod that says nothing of statistics is ready", lambda: story.page("envoy-default-matcher", "bare"))

    def gone():
        story.cluster.merge_patch(plane, {"spec": {"replicas": 0}})
        pods = lambda: list(story.cluster.list("v1", "Pod", namespace="istio-system", labels="app=istiod"))  # noqa: E731
        story.until("no control plane runs", lambda: not pods())

    story.tape("proxies-in-sync-lost", "proxies-in-sync", count=2, gap=25, between=gone)
    story.tape("preflight-injector-gone", "preflight")
    story.page("envoy-default-matcher-lost", "bare")
    story.cluster.merge_patch(plane, {"spec": {"replicas": 1}})
    story.settled(plane)


def the_ledger(story):
    """The ledger's policies where they deny, where a binding is gone, and for somebody who may not look."""
    installing = Session(
        cluster=story.cluster,
        clock=RealClock(),
        drivers={},
        steps={},
        gates={},
        identity=story.cluster.whoami(),
        holder=this_process("recorder"),
        fenced=lambda check: story.cluster,
    )
    story.tape("ledger-enforced-missing", "ledger-enforced")
    install(installing, missing(story.cluster), pause=time.sleep)
    story.tape("ledger-enforced-denied", "ledger-enforced")
    somebody = Taping(HttpsTransport(access(Choice(kubeconfig=story.arguments.kubeconfig, user="vera"))))
    story.taping, ours = somebody, story.taping
    story.tape("ledger-enforced-not-permitted", "ledger-enforced")
    story.taping = ours


PARTS = (
    the_ledger,
    before_the_mesh,
    the_mesh,
    the_ingress,
    the_services,
    the_questions,
    the_traffic,
    strictness,
    the_control_plane,
)


def main():
    from pathlib import Path

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kubeconfig")
    parser.add_argument("--istioctl", default="", help="program of the release that is installed")
    parser.add_argument("--values", type=Path, help="mesh.values of a runbook, as YAML")
    parser.add_argument("--fortio", default="", help="image of the services")
    parser.add_argument("--note", default="", help="what else the recording rests on")
    parser.add_argument(
        "--only", nargs="*", default=[], help="parts of the story, by name; the ones before ran already"
    )
    arguments = parser.parse_args()
    story = Story(arguments)
    for part in PARTS:
        if not arguments.only or part.__name__ in arguments.only:
            story.say(part.__name__)
            try:
                part(story)
            except Blind as blind:
                sys.exit(str(blind))
    story.say(f"{len(story.made)} tapes")


if __name__ == "__main__":
    main()
