"""A real API server and its controllers keep two Deployments of one gateway apart, and both behind one Service."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from e2e.providers import Provider
from meshup.cli.connect import Aim, door
from meshup.cluster.door import Cluster
from meshup.engine.marks import Stamp
from meshup.engine.send import send
from meshup.engine.undo import inverse
from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.change import Delete, Handoff
from meshup.model.objects import MANAGED, Object, Ref, dig, labels, ref_of
from meshup.model.rollout import rollout
from meshup.model.runbook import Ingress, Manifests, Mesh
from meshup.model.snapshot import Identity, Snapshot
from meshup.model.weights import Leg
from meshup.steps.gateway_weights import Moving
from meshup.steps.step import Draft

pytestmark = pytest.mark.e2e
WAIT_S = 60.0
HOME = "istio-ingress"
DRIVER = IstioSidecar()
CONTROLLER = "istio.io/gateway-controller"
Api = Literal["gateway", "istio"]


@pytest.fixture(scope="module")
def cluster(provider: Provider) -> Iterator[Cluster]:
    """A server with a pretended node, on which pods get ready."""
    with provider.api_server(fake_nodes=1) as reached:
        made = door(Aim(kubeconfig=str(reached.kubeconfig)))
        made.whoami()
        made.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}})
        yield made


def mesh(revision: str, release: str) -> Mesh:
    return Mesh(
        driver="istio",
        release=release,
        revision=revision,
        namespace="istio-system",
        manifests=Manifests(source="directory"),
    )


OLD, NEW = mesh("1-30-0", "1.30.0"), mesh("1-31-0", "1.31.0")


class Stand:
    """One gateway with four pods. What its control plane does is done here, by its own manager."""

    def __init__(self, cluster: Cluster, api: Api, name: str) -> None:
        self.cluster, self.api = cluster, api
        self.ingress = Ingress(api=api, name=name, namespace=HOME, hosts=())
        self.service = DRIVER.gateway_service(self.ingress)
        self.own = DRIVER.gateway_workload(self.ingress)
        self.gateway, self.made = "", 0
        self._begin()

    def _begin(self) -> None:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": self.own.name, "namespace": HOME}}
        self.cluster.create(account)
        if self.api == "istio":
            for body in DRIVER.gateway(self.ingress, OLD):
                if body["kind"] in ("Deployment", "Service"):
                    self.cluster.apply({**body, "metadata": {**body["metadata"], "labels": {MANAGED: "meshup"}}})
        else:
            self.control_plane(OLD)
        meta = {"name": self.own.name, "namespace": HOME}
        scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"replicas": 4}}
        self.cluster.apply(scaled, manager="kubectl", force=True)
        self.rest(self.own)

    def control_plane(self, of: Mesh) -> None:
        """Apply what a control plane makes for a Gateway, which has no replicas in it."""
        own = {"gateway.networking.k8s.io/gateway-name": self.ingress.name}
        meta = {"name": self.own.name, "namespace": HOME, "labels": own}
        pod = {"labels": {**own, "sidecar.istio.io/inject": "false"}, "annotations": {"istio.io/rev": of.revision}}
        spec = {"serviceAccountName": self.own.name, "containers": [{"name": "istio-proxy", "image": of.release}]}
        deployment = {"selector": {"matchLabels": own}, "template": {"metadata": pod, "spec": spec}}
        service = {"selector": own, "ports": [{"name": "http", "port": 80}]}
        for kind, version, body in (("Deployment", "apps/v1", deployment), ("Service", "v1", service)):
            made = {"apiVersion": version, "kind": kind, "metadata": meta, "spec": body}
            self.cluster.apply(made, manager=CONTROLLER, force=True)
        self.gateway = of.revision

    def rest(self, on: Ref) -> Any:
        return until(self.cluster, on, lambda found: rollout(found).done)

    def moving(self) -> Moving:
        """Look at it as a plan does."""
        seen: dict[Ref, Object] = {}
        for kind, version in (("Deployment", "apps/v1"), ("Service", "v1")):
            for each in self.cluster.list(version, kind, namespace=HOME, owners=True):
                seen[ref_of(each)] = each
        if self.api == "gateway":
            meta = {"name": self.ingress.name, "namespace": HOME, "labels": {"istio.io/rev": self.gateway}}
            body = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": meta}
            seen[ref_of(body)] = body
        snapshot = Snapshot(
            cluster_uid="", server_version="", identity=Identity(user=""), taken_at=datetime.now(UTC), objects=seen
        )
        beside = DRIVER.gateway_beside(self.ingress, NEW, snapshot)
        assert beside is not None
        assert beside.blocked == ""
        return Moving(beside=beside, second=seen.get(ref_of(beside.body)), own=seen[self.own], stage="gateway")

    def write(self, draft: Draft, *, back: bool = False) -> None:
        """Send one change as an apply does, and wait for what it sets in motion."""
        change = inverse(draft.change) if back else draft.change
        assert change is not None
        if isinstance(change, Handoff):
            self.control_plane(OLD if back else NEW)
            return
        self.made += 1
        uid = ""
        if isinstance(change, Delete):
            found = self.cluster.find(change.on)
            uid = str(dig(found, "metadata", "uid") or "")
        send(self.cluster, change, Stamp(run="r-1", change=f"a/{self.made}", epoch=1), made_uid=uid, back=back)
        if change.on.kind == "Deployment" and not isinstance(change, Delete):
            self.rest(change.on)

    def behind(self) -> Counter[str]:
        """Count the addresses that the gateway's own Service leads to, by the Deployment of their pods."""
        slices = self.cluster.list(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            namespace=HOME,
            labels=f"kubernetes.io/service-name={self.service.name}",
        )
        pods = {each["metadata"]["name"]: each for each in self.cluster.list("v1", "Pod", namespace=HOME)}
        found: Counter[str] = Counter()
        for each in slices:
            for endpoint in each.get("endpoints") or ():
                if dig(endpoint, "conditions", "ready"):
                    whose = labels(pods.get(endpoint["targetRef"]["name"], {"metadata": {}}))
                    found["new" if "meshup.dev/gateway-revision" in whose else "old"] += 1
        return found


def until(cluster: Cluster, ref: Ref, holds: Callable[[Any], bool]) -> Any:
    """Give the object once it is so; the last one when it never is."""
    ends = time.monotonic() + WAIT_S
    while True:
        found = cluster.get(ref)
        if holds(found) or time.monotonic() > ends:
            return found
        time.sleep(0.5)


def shares(stand: Stand, leg: Leg) -> Counter[str]:
    """Give what the Service leads to once that is what a leg says, or what it still is after a while."""
    wanted = +Counter(new=leg.new, old=leg.old)
    ends = time.monotonic() + WAIT_S
    while stand.behind() != wanted and time.monotonic() < ends:
        time.sleep(0.5)
    return stand.behind()


@pytest.mark.parametrize("api", ["gateway", "istio"])
def test_a_service_leads_to_both_by_weight_and_each_deployment_keeps_its_own_pods(cluster: Cluster, api: Api) -> None:
    stand = Stand(cluster, api, f"by-{api}")
    first = dig(cluster.get(stand.service), "spec", "clusterIP")
    moving = stand.moving()
    left = moving.left((10, 50, 100))
    drafts = list(moving.forth(left))
    for leg in left:
        for draft in drafts:
            if draft.phase == leg.name:
                stand.write(draft)
        assert shares(stand, leg) == +Counter(new=leg.new, old=leg.old), leg
        for on, pods in ((moving.beside.own, leg.old), (ref_of(moving.beside.body), leg.new)):
            status = until(cluster, on, lambda found, pods=pods: (dig(found, "status", "replicas") or 0) == pods)
            assert (dig(status, "status", "replicas") or 0) == pods, "a Deployment counts no pod of the other"
    turned = stand.moving().turned(after="")
    if turned is not None:
        send(cluster, turned, Stamp(run="r-1", change="b/1", epoch=1))
    for draft in stand.moving().home(after=""):
        stand.write(draft)
    assert shares(stand, Leg(wanted=100, new=0, old=4)) == Counter(old=4)
    assert cluster.find(ref_of(moving.beside.body)) is None
    assert dig(cluster.get(stand.service), "spec", "clusterIP") == first


@pytest.mark.parametrize("api", ["gateway", "istio"])
def test_from_half_the_weights_the_way_back_leads_to_the_first_pods(cluster: Cluster, api: Api) -> None:
    stand = Stand(cluster, api, f"back-{api}")
    moving = stand.moving()
    drafts = list(moving.forth(moving.left((50,))))
    for draft in drafts:
        stand.write(draft)
    assert shares(stand, Leg(wanted=50, new=2, old=2)) == Counter(new=2, old=2)
    for draft in reversed(drafts):
        stand.write(draft, back=True)
    assert shares(stand, Leg(wanted=0, new=0, old=4)) == Counter(old=4)
    assert dig(cluster.get(stand.own), "spec", "replicas") == 4
    ends = time.monotonic() + WAIT_S
    while cluster.find(ref_of(moving.beside.body)) is not None and time.monotonic() < ends:
        time.sleep(0.5)
    assert cluster.find(ref_of(moving.beside.body)) is None
