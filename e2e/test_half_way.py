"""A real API server and its controllers hold a rollout half-way by the fields that meshup writes, and let it go on without them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.providers import Provider, Reached
from meshup.cli.connect import Aim, door
from meshup.cluster.door import Cluster
from meshup.engine.marks import Stamp
from meshup.engine.send import send
from meshup.engine.undo import inverse
from meshup.model.change import Label
from meshup.model.objects import Ref, dig
from meshup.model.rollout import rollout
from meshup.steps.halfway import held

pytestmark = pytest.mark.e2e
STAMP = Stamp(run="r-1", change="a/1", epoch=1)
AT = ("spec", "template", "metadata", "labels")
WAIT_S = 60.0


@pytest.fixture(scope="module")
def cluster(provider: Provider) -> Iterator[Cluster]:
    """A server with a pretended node, on which pods get ready."""
    with provider.api_server(fake_nodes=1) as reached:
        yield _door(reached)


def _door(reached: Reached) -> Cluster:
    made = door(Aim(kubeconfig=str(reached.kubeconfig)))
    made.whoami()
    return made


def workload(kind: str, name: str) -> dict[str, Any]:
    """Give four pods of one kind."""
    labels = {"app": name}
    spec: dict[str, Any] = {
        "replicas": 4,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}},
    }
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def until(cluster: Cluster, ref: Ref, holds: Callable[[Any], bool]) -> Any:
    """Give the object once it is so; the last one when it never is."""
    ends = time.monotonic() + WAIT_S
    while True:
        found = cluster.get(ref)
        if holds(found) or time.monotonic() > ends:
            return found
        time.sleep(0.5)


def at_rest(found: Any) -> bool:
    """Tell whether the rollout says that it is done."""
    return rollout(found).done


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize("way", ["on", "back"])
def test_it_stops_half_way_and_goes_on_or_back(cluster: Cluster, kind: str, way: str) -> None:
    name = f"{kind.lower()}-{way}"
    made = cluster.create(workload(kind, name))
    ref = Ref(api_version="apps/v1", kind=kind, namespace="default", name=name)
    first = until(cluster, ref, at_rest)
    assert rollout(first).done, first["status"]
    hold = held(made)
    change = Label(
        on=ref,
        at=AT,
        set={"rev": "new"},
        before={"rev": None},
        force=tuple(hold.fields),
        holds=hold.fields,
        holds_before=hold.before,
    )
    send(cluster, change, STAMP)
    half = until(cluster, ref, at_rest)
    assert rollout(half).done, half["status"]
    assert 0 < dig(half, "status", "updatedReplicas") < 4
    time.sleep(3)
    assert dig(cluster.get(ref), "status", "updatedReplicas") == dig(half, "status", "updatedReplicas")
    back = inverse(change)
    assert back is not None
    rest = Label(on=ref, at=AT, set={"rev": "new"}, before={"rev": "new"}, force=tuple(hold.fields), holds=hold.before)
    send(cluster, rest if way == "on" else back, Stamp(run="r-1", change="a/2", epoch=1), back=way == "back")
    last = until(cluster, ref, at_rest)
    assert rollout(last).done, last["status"]
    assert dig(last, *AT).get("rev") == ("new" if way == "on" else None)
    for field in ("minReadySeconds", "progressDeadlineSeconds", "updateStrategy"):
        assert dig(last, "spec", field) == dig(first, "spec", field), field
