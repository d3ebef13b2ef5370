"""What is sent again, when, and when not: a scripted server stands below the real transport."""

from __future__ import annotations

import json
import random

import pytest
from scripted import Clock, Reply, Scripted, status, value

from meshup.cluster.access import Access, Credential
from meshup.cluster.connect import connect, over
from meshup.cluster.credentials import Fixed, bearer
from meshup.cluster.errors import (
    AlreadyExists,
    Away,
    Conflict,
    Denied,
    Forbidden,
    Invalid,
    MaybeDone,
    NotFound,
    NotReached,
    ServerTimeout,
    TooManyRequests,
    Unauthorized,
)
from meshup.cluster.flow import Flow
from meshup.cluster.https import HttpsTransport
from meshup.cluster.retry import Rules
from meshup.model.objects import Ref
from meshup.model.problem import Exit, Interrupted, Unreachable

POD = Ref(api_version="v1", kind="Pod", namespace="shop", name="cart-1")
CM = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}, "data": {"k": "v"}}
OK = value({"kind": "Pod", "metadata": {"name": "cart-1", "uid": "u1", "resourceVersion": "7"}})


def door(server, *, rules=Rules(), login=None, refresh=None, url=""):
    clock = Clock()
    access = Access(server=url or server.url, login=login or Fixed(Credential()))
    transport = HttpsTransport(access)
    cluster = over(transport, clock, rules=rules, refresh=refresh or transport.refresh, server=access.server)
    cluster._sender._chance = random.Random(7)
    return cluster, clock


def test_a_read_is_repeated_with_jitter_below_the_roof_and_retry_after_is_a_floor():
    with Scripted([status(503, "ServiceUnavailable"), status(429, "TooManyRequests", after="7"), OK]) as server:
        cluster, clock = door(server)
        told = []
        cluster.observe(told.append)
        assert cluster.get(POD)["metadata"]["uid"] == "u1"
        assert len(server.seen) == 3
        assert clock.slept[0] <= 1.0
        assert clock.slept[1] >= 7
        assert [each.number for each in told] == [1, 2]
        assert cluster.counters.retries == 2
        assert cluster.counters.throttled == 1


def test_tries_end_and_the_error_says_what_the_server_said():
    with Scripted([status(500, "InternalError", "etcd is full")]) as server:
        cluster, clock = door(server)
        with pytest.raises(ServerTimeout) as failed:
            cluster.get(POD)
        assert len(server.seen) == 8
        assert max(clock.slept) <= 15
        assert "etcd is full" in failed.value.why
        assert failed.value.exit == Exit.DEADLINE


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (status(404, "NotFound"), NotFound, "MU7201"),
        (status(409, "AlreadyExists"), AlreadyExists, "MU7202"),
        (status(409, "Conflict"), Conflict, "MU7203"),
        (status(422, "Invalid"), Invalid, "MU7206"),
        (status(403, "Forbidden", 'User "x" cannot'), Forbidden, "MU7101"),
        (status(403, "Forbidden", "pods is forbidden: exceeded quota: q"), Denied, "MU7204"),
        (status(403, "Forbidden", "ValidatingAdmissionPolicy 'p' denied request"), Denied, "MU7204"),
        (status(401, "Unauthorized"), Unauthorized, "MU7010"),
        (status(500, "", "failed to create typed patch object: .x: field not declared in schema"), Invalid, "MU7206"),
    ],
)
def test_what_can_never_pass_is_sent_once(reply, kind, code):
    with Scripted([reply]) as server:
        cluster, clock = door(server)
        with pytest.raises(kind) as failed:
            cluster.apply(CM)
        assert len(server.seen) == 1
        assert clock.slept == []
        assert failed.value.code == code


def test_a_create_whose_answer_was_lost_is_never_sent_again():
    for fault in (Reply(how="reset"), Reply(how="cut"), status(504, "Timeout"), Reply(body=b"<html>login</html>")):
        with Scripted([fault]) as server:
            cluster, _clock = door(server)
            with pytest.raises(MaybeDone) as failed:
                cluster.create(CM)
            assert len(server.seen) == 1, fault
            assert failed.value.exit == Exit.DEADLINE


def test_a_create_that_was_turned_away_is_sent_again():
    with Scripted([status(429, "TooManyRequests", after="1"), value(CM)]) as server:
        cluster, _ = door(server)
        cluster.create(CM)
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    "fault", [Reply(how="reset"), Reply(how="cut"), Reply(body=b'{"cut": '), status(504, "Timeout")]
)
def test_an_apply_and_a_dry_run_are_sent_again(fault):
    with Scripted([value({}), fault, value(CM)]) as server:
        cluster, _ = door(server)
        cluster.get(POD)
        cluster.apply(CM)
        assert len(server.seen) == 3
        assert server.seen[1].body == server.seen[2].body
    with Scripted([value({}), fault, value(CM)]) as server:
        cluster, _ = door(server)
        cluster.get(POD)
        cluster.create(CM, dry_run=True)
        assert len(server.seen) == 3
        assert cluster.counters.mutations == 0
        assert cluster.counters.dry_runs == 2


def test_an_apply_with_a_resource_version_is_not_sent_again():
    body = {**CM, "metadata": {**CM["metadata"], "resourceVersion": "3"}}
    with Scripted([Reply(how="reset")]) as server:
        cluster, _ = door(server)
        with pytest.raises(MaybeDone):
            cluster.apply(body)


def test_a_server_that_was_never_reached_is_given_up_soon():
    with Scripted([OK]) as server:
        url = server.url
    cluster, clock = door(None, url=url)
    with pytest.raises(NotReached) as failed:
        cluster.get(POD)
    assert failed.value.exit == Exit.UNREACHABLE
    assert len(clock.slept) == 2
    assert "object at" not in str(failed.value.why)


def test_a_name_that_is_unknown_is_tried_once():
    cluster, clock = door(None, url="http://no-such-host.invalid:1")
    with pytest.raises(NotReached) as failed:
        cluster.get(POD)
    assert clock.slept == []
    assert "server's name" in failed.value.fix


def test_a_server_that_answered_before_is_waited_for_ten_minutes():
    with Scripted([OK]) as server:
        cluster, clock = door(server)
        cluster.get(POD)
    cluster._sender._transport.close()
    with pytest.raises(Away) as failed:
        cluster.get(POD)
    assert 600 <= sum(clock.slept) < 640
    assert failed.value.exit == Exit.DEADLINE


def test_an_ending_tries_once():
    with Scripted([OK, Reply(how="reset")]) as server:
        cluster, clock = door(server)
        cluster.get(POD)
        with pytest.raises((Away, MaybeDone)):
            cluster.once().replace({**CM, "metadata": {**CM["metadata"], "resourceVersion": "1"}})
        assert clock.slept == []
        with pytest.raises(Away):
            cluster.once().get(POD)
        assert clock.slept == []


def test_silence_is_a_timeout_and_a_write_may_have_happened(monkeypatch):
    monkeypatch.setattr("meshup.cluster.https.BETWEEN_BYTES_S", 0.2)
    with Scripted([Reply(how="hang", hang_s=1.0)]) as server:
        cluster, _ = door(server)
        with pytest.raises(MaybeDone, match="answer was lost"):
            cluster.create(CM)


def test_credentials_are_renewed_once_and_then_it_is_exit_7():
    renewed = []
    with Scripted(
        [status(401, "Unauthorized"), OK, status(401, "Unauthorized"), status(401, "Unauthorized")]
    ) as server:
        cluster, _ = door(server, refresh=lambda: not renewed.append(1))
        cluster.get(POD)
        assert len(renewed) == 1
        with pytest.raises(Unauthorized) as failed:
            cluster.get(POD)
        assert len(renewed) == 2
        assert failed.value.exit == Exit.UNREACHABLE


def review(user, uid="1"):
    return value({"status": {"userInfo": {"username": user, "uid": uid, "groups": ["system:authenticated"]}}})


def test_another_user_after_a_refresh_ends_the_run():
    with Scripted([review("ana"), status(401, "Unauthorized"), review("eve"), OK]) as server:
        cluster, _ = door(server, refresh=lambda: True)
        assert cluster.whoami().user == "ana"
        with pytest.raises(Unreachable, match="eve, before for ana") as failed:
            cluster.get(POD)
        assert failed.value.code == "MU7008"


class Turning:
    """Credentials that are others after some requests, as a plugin's are when the old ones end."""

    def __init__(self, *tokens):
        self.tokens = list(tokens)

    def current(self):
        return bearer(self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0])

    def refresh(self):
        return False


VERSION = value({"gitVersion": "v1.34.4"})


def test_another_user_by_credentials_that_were_renewed_in_time_ends_the_run():
    with Scripted([VERSION, review("ana"), OK, review("eve"), review("eve")]) as server:
        login = Turning("old", "old", "old", "new")
        cluster = connect(Access(server=server.url, login=login))
        assert cluster.whoami().user == "ana"
        cluster.get(POD)
        for _ in range(2):
            with pytest.raises(Unreachable, match="eve, before for ana") as failed:
                cluster.get(POD)
            assert failed.value.code == "MU7008"
        asked = [each.path for each in server.seen]
        assert asked[3:] == ["/apis/authentication.k8s.io/v1/selfsubjectreviews"] * 2, "nothing else was sent as eve"


def test_the_same_user_by_renewed_credentials_goes_on():
    with Scripted([VERSION, review("ana"), review("ana"), OK, OK]) as server:
        cluster = connect(Access(server=server.url, login=Turning("old", "old", "new")))
        cluster.whoami()
        cluster.get(POD)
        cluster.get(POD)
        assert len(server.seen) == 5, "asked once who it is"


@pytest.mark.parametrize("reply", [review("system:anonymous"), review(""), value({})])
def test_nobody_goes_on_as_anonymous(reply):
    with Scripted([reply]) as server:
        cluster, _ = door(server)
        with pytest.raises(Unreachable) as failed:
            cluster.whoami()
        assert failed.value.code == "MU7008"


def test_a_conflict_names_managers_and_fields():
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kube-controller-manager" with subresource "scale" using apps/v1',
            "field": ".spec.replicas",
        },
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "argo\x1b[31m" using apps/v1',
            "field": ".spec.template",
        },
    ]
    with Scripted([status(409, "Conflict", "Apply failed", details={"causes": causes})]) as server:
        cluster, _ = door(server)
        with pytest.raises(Conflict) as failed:
            cluster.apply(CM)
        assert failed.value.managers[0] == ("kube-controller-manager", ".spec.replicas")
        assert "\x1b" not in failed.value.managers[1][0]
        assert failed.value.exit == Exit.REFUSED


def test_a_disruption_budget_is_no_throttle():
    details = {"causes": [{"reason": "DisruptionBudget", "message": "The disruption budget cart needs 1 healthy pods"}]}
    with Scripted([status(429, "TooManyRequests", "Cannot evict pod", details=details)]) as server:
        cluster, _ = door(server)
        with pytest.raises(TooManyRequests):
            cluster.evict("shop", "cart-1", uid="u1")
        assert len(server.seen) == 1


def test_a_webhook_that_can_not_be_called_is_tried_three_times():
    with Scripted([status(500, "InternalError", 'failed calling webhook "injector": connection refused')]) as server:
        cluster, _ = door(server)
        with pytest.raises(ServerTimeout):
            cluster.create(CM)
        assert len(server.seen) == 3


def test_a_delete_carries_its_preconditions_and_takes_gone_for_gone():
    with Scripted([value({}), status(404, "NotFound")]) as server:
        cluster, _ = door(server)
        assert cluster.delete(POD, uid="u1", resource_version="7") is True
        assert cluster.delete(POD, uid="u1") is False
        sent = json.loads(server.seen[0].body)
        assert sent["preconditions"] == {"uid": "u1", "resourceVersion": "7"}
        assert server.seen[0].path.split("?")[0] == "/api/v1/namespaces/shop/pods/cart-1"


def test_a_resent_delete_recognises_what_the_lost_one_left():
    there = value({"metadata": {"name": "cart-1", "uid": "u1", "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    with Scripted([value({}), Reply(how="reset"), status(409, "Conflict"), there]) as server:
        cluster, _ = door(server)
        cluster.get(POD)
        assert cluster.delete(POD, uid="u1", resource_version="7") is True
    other = value({"metadata": {"name": "cart-1", "uid": "u2"}})
    with Scripted([status(409, "Conflict"), other]) as server:
        cluster, _ = door(server)
        with pytest.raises(Conflict):
            cluster.delete(POD, uid="u1")


def test_a_collection_is_never_deleted():
    with Scripted([OK]) as server:
        cluster, _ = door(server)
        for name in ("", ".", ".."):
            with pytest.raises(ValueError):
                cluster.delete(Ref(api_version="v1", kind="Pod", namespace="shop", name=name), uid="u")
        with pytest.raises(ValueError):
            cluster.delete(POD, uid="")
        with pytest.raises(ValueError):
            cluster.delete(Ref(api_version="v1", kind="Pod", name="x"), uid="u")
        assert server.seen == []


def test_names_can_not_leave_their_place_in_a_path():
    with Scripted([OK]) as server:
        cluster, _ = door(server)
        cluster.get(Ref(api_version="v1", kind="Pod", namespace="a/../b", name="x?y=1#z"))
        assert server.seen[0].path == "/api/v1/namespaces/a%2F..%2Fb/pods/x%3Fy%3D1%23z"


def test_pages_are_followed_and_items_say_what_they_are():
    pages = [
        value(
            {"metadata": {"continue": "t1"}, "items": [{"metadata": {"name": "a", "uid": "1", "managedFields": [1]}}]}
        ),
        value({"metadata": {}, "items": [{"metadata": {"name": "b", "uid": "2"}}]}),
    ]
    with Scripted(pages) as server:
        cluster, _ = door(server)
        found = list(cluster.list("v1", "Pod", labels="app=x"))
        assert [each["metadata"]["name"] for each in found] == ["a", "b"]
        assert found[0]["kind"] == "Pod"
        assert "managedFields" not in found[0]["metadata"]
        assert "labelSelector=app%3Dx" in server.seen[0].path
        assert "limit=500" in server.seen[0].path
        assert server.connections == 1


def test_a_page_token_that_expired_begins_again_without_doubles():
    first = value({"metadata": {"continue": "t1"}, "items": [{"metadata": {"name": "a", "uid": "1"}}]})
    both = value(
        {"metadata": {}, "items": [{"metadata": {"name": "a", "uid": "1"}}, {"metadata": {"name": "b", "uid": "2"}}]}
    )
    with Scripted([first, status(410, "Expired"), both]) as server:
        cluster, _ = door(server)
        assert [each["metadata"]["name"] for each in cluster.list("v1", "Pod")] == ["a", "b"]


def test_a_watch_lists_again_after_410_and_skips_bookmarks():
    def line(kind, name, version, **extra):
        return (
            json.dumps(
                {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}, **extra}}
            ).encode()
            + b"\n"
        )

    listed = value({"metadata": {"resourceVersion": "5"}, "items": [{"metadata": {"name": "a"}}]})
    stream = Reply(
        how="chunks",
        chunks=(
            line("ADDED", "b", "6"),
            line("BOOKMARK", "", "9")[:20],
            line("BOOKMARK", "", "9")[20:],
            json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410}}).encode() + b"\n",
        ),
    )
    with Scripted([listed, stream, listed, Reply(how="chunks", chunks=(line("DELETED", "a", "10"),))]) as server:
        cluster, _ = door(server)
        seen = []
        for event in cluster.watch("v1", "Pod", for_s=100):
            seen.append((event.kind, event.version))
            if len(seen) == 4:
                break
        assert seen == [("LISTED", "5"), ("ADDED", "6"), ("LISTED", "5"), ("DELETED", "10")]
        assert "resourceVersion=5" in server.seen[1].path
        assert "allowWatchBookmarks=true" in server.seen[1].path


def test_a_proxied_answer_comes_back_as_it_is():
    with Scripted([Reply(status=503, body=b"app is down")]) as server:
        cluster, _ = door(server)
        answer = cluster.pod_proxy("shop", "cart-1", port=15090, path="/stats/prometheus?filter=x y")
        assert (answer.status, answer.body) == (503, b"app is down")
        assert len(server.seen) == 1


def test_sixteen_at_most_are_in_flight_and_results_keep_their_order():
    with Scripted([OK]) as server:
        cluster, _ = door(server)
        assert cluster.gather([lambda n=n: (cluster.get(POD), n)[1] for n in range(100)]) == list(range(100))
        assert 1 <= cluster.counters.peak <= 16
        assert server.connections <= 17


def test_the_flow_halves_once_per_burst_and_grows_by_successes():
    flow = Flow(16)
    burst = [flow.enter() for _ in range(16)]
    for began in burst:
        flow.leave(began, throttled=True, good=False)
    assert flow.limit == 8
    for _ in range(40):
        flow.leave(flow.enter(), throttled=False, good=True)
    assert flow.limit == 10
    for _ in range(8):
        flow.leave(flow.enter(), throttled=True, good=False)
    assert flow.limit == 1


def test_a_fence_runs_before_every_attempt_of_a_mutation_and_of_nothing_else():
    with Scripted([status(429, "TooManyRequests"), value(CM)]) as server:
        cluster, _ = door(server)
        checks = []
        fenced = cluster.fenced(lambda: checks.append(len(server.seen)))
        fenced.apply(CM)
        assert checks == [0, 1]
        fenced.get(POD)
        fenced.apply(CM, dry_run=True)
        fenced.can_i("create", "apps/deployments", namespace="shop")
        assert checks == [0, 1]
        assert cluster.counters.mutations == 2


def test_access_reviews_say_group_plural_and_subresource():
    with Scripted([value({"status": {"allowed": True}})]) as server:
        cluster, _ = door(server)
        for resource, expected in [
            ("pods", {"resource": "pods"}),
            ("pods/eviction", {"resource": "pods", "subresource": "eviction"}),
            ("apps/deployments", {"resource": "deployments", "group": "apps"}),
            ("apps/deployments/scale", {"resource": "deployments", "group": "apps", "subresource": "scale"}),
        ]:
            assert cluster.can_i("create", resource)
            asked = json.loads(server.seen[-1].body)["spec"]["resourceAttributes"]
            assert asked == {"verb": "create", **expected}


def test_impersonation_repeats_the_group_header():
    with Scripted([OK]) as server:
        access = Access(
            server=server.url,
            login=Fixed(Credential(headers=(("authorization", "Bearer t"),))),
            impersonate=(("impersonate-user", "ana"), ("impersonate-group", "a"), ("impersonate-group", "b")),
        )
        over(HttpsTransport(access), Clock()).get(POD)
        assert server.seen[0].headers["impersonate-group"] == ["a", "b"]
        assert server.seen[0].headers["authorization"] == ["Bearer t"]


def test_a_redirect_is_not_followed():
    with Scripted([Reply(status=302, headers=(("location", "http://127.0.0.1:1/"),))]) as server:
        cluster, _ = door(server)
        with pytest.raises(NotReached):
            cluster.get(POD)
        assert len(server.seen) == 1


@pytest.mark.parametrize("status_", [400, 403, 404, 407])
def test_what_no_api_server_says_is_not_taken_for_one(status_):
    with Scripted([Reply(status=status_, body=b"<html><h1>Corp proxy</h1> log in</html>")]) as server:
        cluster, clock = door(server)
        with pytest.raises(NotReached) as failed:
            cluster.version()
        assert failed.value.why == "Corp proxy log in"
        assert clock.slept == []


def test_a_kind_defined_a_moment_ago_is_waited_for_and_a_dry_run_is_not():
    unserved = Reply(status=404, body=b"404 page not found")
    with Scripted([OK, unserved, unserved, value(CM)]) as server:
        cluster, clock = door(server)
        cluster.get(POD)
        cluster.create(CM)
        assert len(clock.slept) == 2
    with Scripted([OK, unserved]) as server:
        cluster, clock = door(server)
        cluster.get(POD)
        with pytest.raises(NotFound) as failed:
            cluster.create(CM, dry_run=True)
        assert failed.value.code == "MU7208"
        assert clock.slept == []


def test_a_kind_that_discovery_does_not_know_yet_is_read_from_its_definition():
    made = {
        "spec": {
            "group": "x.dev",
            "scope": "Cluster",
            "names": {"kind": "Foo", "plural": "foos"},
            "versions": [{"name": "v1", "served": True}],
        }
    }
    nothing = value({"kind": "APIGroupDiscoveryList", "items": []})
    with Scripted([nothing] * 2 + [value({"items": [made]}), value({"metadata": {"name": "a"}})]) as server:
        cluster, _ = door(server)
        cluster.get(Ref(api_version="x.dev/v1", kind="Foo", name="a"))
        assert server.seen[-1].path == "/apis/x.dev/v1/foos/a"


def test_old_discovery_is_read_group_by_group():
    replies = [
        value({"kind": "APIGroupList", "groups": [{"versions": [{"groupVersion": "x.dev/v1"}]}]}),
        value({"resources": [{"name": "foos", "kind": "Foo", "namespaced": False, "verbs": ["get", "list"]}]}),
    ]
    with Scripted(replies) as server:
        cluster, _ = door(server)
        found = cluster.kinds()
        assert found["x.dev/v1", "Foo"].plural == "foos"
        assert found["v1", "Pod"].namespaced
        assert {key for key in found if key[0] != "v1"} == {("x.dev/v1", "Foo")}


def test_a_person_who_asks_to_stop_is_not_held_by_a_server_that_is_away(monkeypatch):
    monkeypatch.setattr("meshup.cluster.retry.ENOUGH_S", 0.0)
    with Scripted([OK]) as server:
        cluster, clock = door(server)
        cluster.get(POD)
    cluster._sender._transport.close()
    cluster.stop_when(lambda: sum(clock.slept) > 20)
    with pytest.raises(Interrupted) as failed:
        cluster.get(POD)
    assert sum(clock.slept) < 22
    assert failed.value.exit == Exit.INTERRUPTED
