"""What a Deployment says of an older template is not said of the present one; its controller says it a moment longer."""

from __future__ import annotations

import json

import pytest

from meshup.cluster.clock import RealClock
from meshup.cluster.connect import over
from meshup.engine.settle import settled
from meshup.model.objects import Ref
from meshup.model.transport import Request
from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock

WEB = Ref(api_version="apps/v1", kind="Deployment", namespace="shop", name="web")
REFUSED = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}


def template(image, **labels):
    return {
        "metadata": {"labels": {"app": "web", **labels}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }


def late(name):
    """What a Deployment says of a ReplicaSet that passed the progress deadline."""
    message = f'ReplicaSet "{name}" has timed out progressing.'
    return {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": message}


def world(*, updated, available, failing="", says=REFUSED):
    """A Deployment of 4 that was taken back to image i:1; failing: the image whose ReplicaSet could not make pods.

    says: the condition of the Deployment.
    """
    server = ApiServer(VirtualClock())
    server.objects.create("namespaces", {"metadata": {"name": "shop"}})
    numbers = {
        "replicas": updated,
        "updatedReplicas": updated,
        "availableReplicas": available,
        "readyReplicas": available,
    }
    spec = {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template("i:1")}
    made = created(server, "deployments", {"kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
    server.objects.update_status(
        "deployments.apps", "shop", "web", {"observedGeneration": 1, **numbers, "conditions": [says]}
    )
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    for image in ("i:1", "i:2"):
        name = f"web-{image[-1]}"
        labels = {"app": "web", "pod-template-hash": image[-1]}
        body = {
            "kind": "ReplicaSet",
            "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
            "spec": {
                "replicas": 4,
                "selector": {"matchLabels": labels},
                "template": template(image, **{"pod-template-hash": image[-1]}),
            },
        }
        created(server, "replicasets", body)
        if image == failing:
            server.objects.update_status("replicasets.apps", "shop", name, {"replicas": 0, "conditions": [REFUSED]})
    return over(server, RealClock())


def created(server, plural, body):
    answer = server.send(
        Request(
            method="POST",
            path=f"/apis/apps/v1/namespaces/shop/{plural}",
            headers={"content-type": "application/json"},
            body=json.dumps({"apiVersion": "apps/v1", **body}).encode(),
        )
    )
    assert answer.status == 201, answer.body
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("updated", "available", "failing", "done", "hopeless"),
    [
        (4, 4, "i:2", True, False),
        (3, 3, "i:2", False, False),
        (3, 3, "i:1", False, True),
    ],
    ids=["all pods are there", "an older template is refused", "the present template is refused"],
)
def test_only_a_refusal_of_the_present_template_is_hopeless(updated, available, failing, done, hopeless):
    found = settled(world(updated=updated, available=available, failing=failing), (WEB,))[WEB]
    assert (found.done, found.hopeless) == (done, hopeless), found


@pytest.mark.parametrize(("name", "hopeless"), [("web-2", False), ("web-1", True), ("", True)])
def test_only_a_deadline_of_the_present_template_is_hopeless(name, hopeless):
    """After a way back a Deployment repeats for a moment what it said of the template that never got ready."""
    found = settled(world(updated=4, available=3, says=late(name)), (WEB,))[WEB]
    assert (found.done, found.hopeless) == (False, hopeless), found
