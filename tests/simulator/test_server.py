"""Faults, the log of requests, identities and routes of the API server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from asking import CM, PODS, ask, config, pod, read, server

from meshup.model.transport import Response, TransportFailure
from meshup.simulate.api.users import User


def test_a_request_killed_before_it_is_sent_has_no_effect():
    one = server()

    def kill(request, logged):
        if logged.mutation == 2:
            raise TransportFailure("reset", "killed", maybe_done=True)
        return None

    one.before.append(kill)
    assert ask(one, "POST", CM, config("a")).status == 201
    with pytest.raises(TransportFailure):
        ask(one, "POST", CM, config("b"))
    assert one.objects.get("configmaps", "default", "b") is None
    assert [each.status for each in one.log] == [201, 0]


def test_a_lost_answer_leaves_its_effect():
    one = server()

    def lose(request, logged, response):
        if request.method == "POST":
            raise TransportFailure("reset", "lost", maybe_done=True)
        return response

    one.after.append(lose)
    with pytest.raises(TransportFailure):
        ask(one, "POST", CM, config("a"))
    assert one.objects.get("configmaps", "default", "a") is not None
    assert one.log[-1].status == 201


def test_an_answer_can_be_given_instead():
    one = server()
    one.before.append(lambda request, logged: Response(status=429, headers={"retry-after": "1"}))
    assert ask(one, "GET", CM).status == 429


def test_every_answer_says_virtual_time():
    one = server()
    one.clock.advance(61)
    assert ask(one, "GET", CM).headers["x-meshup-time"] == "2026-11-02T09:01:01Z"
    assert ask(one, "GET", "/nothing").headers["x-meshup-time"] == "2026-11-02T09:01:01Z"


def test_the_log_counts_what_may_change_something_and_nothing_else():
    one = server()
    ask(one, "GET", CM)
    ask(one, "POST", CM, config("a"), dryRun="All")
    ask(one, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert one.mutations == 0
    ask(one, "POST", CM, config("a"))
    ask(one, "DELETE", f"{CM}/a")
    assert [(each.method, each.mutation) for each in one.log if each.mutation] == [("POST", 1), ("DELETE", 2)]


def test_a_bound_transport_speaks_as_its_user():
    one = server()
    ana = one.as_user(User(name="ana", groups=("team",)))
    assert ask(ana, "GET", CM).status == 403
    who = read(ask(ana, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}))
    assert who["status"]["userInfo"] == {"username": "ana", "groups": ["team", "system:authenticated"]}
    assert one.log[-1].user == "ana"


def test_impersonation_needs_the_right_to_impersonate():
    one = server()
    ana = one.as_user(User(name="ana"))
    refused = ask(ana, "GET", CM, headers={"impersonate-user": "kubernetes-admin"})
    assert refused.status == 403
    assert 'cannot impersonate resource "users"' in read(refused)["message"]
    assert ask(one, "GET", CM, headers={"impersonate-user": "ana"}).status == 403
    assert one.log[-1].user == "ana"


def test_groups_are_impersonated_only_with_the_right():
    one = server()
    ana = one.as_user(User(name="ana"))
    role = {
        "metadata": {"name": "imp"},
        "rules": [{"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}],
    }
    one.objects.create("clusterroles.rbac.authorization.k8s.io", role)
    binding = {
        "metadata": {"name": "imp"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "imp"},
        "subjects": [{"kind": "User", "name": "ana"}],
    }
    one.objects.create("clusterrolebindings.rbac.authorization.k8s.io", binding)
    ask(ana, "GET", CM, headers={"impersonate-user": "ben"})
    assert one.log[-1].user == "ben"
    both = {"impersonate-user": "ben", "impersonate-group": "system:masters"}
    assert ask(ana, "GET", CM, headers=both).status == 403


def test_a_route_answers_what_the_server_does_not_know():
    one = server()
    ask(one, "POST", PODS, pod())
    path = f"{PODS}/a:15090/proxy/stats/prometheus"
    assert ask(one, "GET", path).status == 501
    asked = []

    def proxy(call):
        if call.subresource != "proxy":
            return None
        asked.append((call.namespace, call.plural, call.name, call.rest))
        return Response(status=200, body=b"x 1")

    one.register(proxy)
    assert ask(one, "GET", path).body == b"x 1"
    assert asked == [("default", "pods", "a:15090", "/stats/prometheus")]


@pytest.mark.parametrize(
    "path",
    [
        "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers",
        "/apis/events.k8s.io/v1/namespaces/default/events",
        f"{PODS}/a/exec",
        f"{PODS}/a/ephemeralcontainers",
        f"{PODS}/a/log",
        "/openapi/v2",
        "/metrics",
    ],
)
def test_what_is_not_implemented_answers_501(path):
    one = server()
    ask(one, "POST", PODS, pod())
    answer = ask(one, "GET", path)
    assert answer.status == 501
    assert "the simulator does not implement" in read(answer)["message"]


def test_the_version_says_simulator():
    assert read(ask(server(), "GET", "/version"))["gitVersion"] == "v1.34.4+meshup-simulator"


def test_a_controller_creates_with_a_status_and_a_client_cannot():
    one = server()
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1"},
        "status": {"nodeInfo": {"kubeletVersion": "v1"}},
    }
    assert one.objects.create("nodes", node)["status"] == node["status"]
    node["metadata"]["name"] = "n2"
    assert "status" not in read(ask(one, "POST", "/api/v1/nodes", node))


def test_equal_seeds_give_equal_clusters():
    def run():
        one = server()
        ask(one, "POST", PODS, {**pod(), "metadata": {"generateName": "p-"}})
        one.clock.advance(5)
        return [bytes(one.store.encoded(each)) for each in one.store.list(("", "pods"))]

    assert run() == run()


def test_objects_that_were_handed_out_do_not_change():
    one = server()
    ask(one, "POST", CM, config("a", k="1"))
    before = one.objects.get("configmaps", "default", "a")
    ask(one, "PATCH", f"{CM}/a", {"data": {"k": "2"}}, content="application/merge-patch+json")
    assert before["data"] == {"k": "1"}
    assert one.objects.get("configmaps", "default", "a")["data"] == {"k": "2"}


def test_a_dry_run_answers_with_what_would_be_and_keeps_what_is():
    one = server()
    ask(one, "POST", CM, config("a", k="1"))
    ask(one, "GET", f"{CM}/a")
    version = one.store.version
    body = {"data": {"k": "2"}}
    seen = ask(one, "PATCH", f"{CM}/a", body, content="application/merge-patch+json", dryRun="All")
    assert read(seen)["data"] == {"k": "2"}
    assert read(ask(one, "GET", f"{CM}/a"))["data"] == {"k": "1"}
    assert one.store.version == version
