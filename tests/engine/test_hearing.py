"""A watch wakes who waits; what it says is checked by reading, and without one the wait looks at intervals."""

from __future__ import annotations

import pytest
from bench import put
from rolling import Rolling
from toymesh import REV, book, deployment

from meshup.cluster.access import Access, Credential
from meshup.cluster.clock import RealClock
from meshup.cluster.connect import over
from meshup.cluster.credentials import Fixed
from meshup.cluster.https import HttpsTransport
from meshup.engine.execute import apply
from meshup.engine.hearing import Hearing
from meshup.engine.planning import make_plan
from meshup.model.objects import Ref, dig
from meshup.simulate.api.users import CONTROL_PLANE, User
from meshup.simulate.http import Front

NAMES = [f"s{number:02d}" for number in range(12)]
PATIENCE_S = 20.0
"""How long a test waits for what must come; what does not come fails it."""


def ref(name):
    return Ref(api_version="apps/v1", kind="Deployment", namespace="shop", name=name)


@pytest.fixture
def served():
    """A world whose time runs 20 times as fast as ours, behind HTTP, and how to speak to it as somebody."""
    world = Rolling(NAMES)
    reader = User(name="reader")
    front = Front(world.server, speed=20.0, users={"reader": reader}).start()

    def speak(token="simulator-admin"):
        login = Fixed(Credential(headers=(("authorization", f"Bearer {token}"),)))
        return over(HttpsTransport(Access(server=front.url, login=login)), RealClock())

    world.speak = speak
    yield world
    front.stop()


@pytest.fixture
def ears(served):
    made = Hearing(served.speak().once())
    yield made
    made.close()


def heard(ears, refs):
    """Give what is heard next of these."""
    assert ears.stirred.wait(PATIENCE_S)
    return ears.taken(refs)


def test_what_is_expected_is_heard_of_first_as_it_is_and_then_when_it_moves(served, ears):
    wanted = [ref("s00"), ref("s01")]
    ears.expect(wanted)
    assert heard(ears, wanted).keys() == set(wanted)
    assert ears.hears(wanted)
    put(served.plain, [deployment("shop", "s05", image="shop/app:2"), deployment("shop", "s01", image="shop/app:2")])
    found = heard(ears, wanted)
    assert list(found) == [ref("s01")]
    assert dig(found[ref("s01")], "spec", "template", "spec", "containers", 0, "image") == "shop/app:2"


def test_what_is_gone_is_heard_as_nothing_and_what_is_forgotten_is_not_heard(served, ears):
    wanted = [ref("s00"), ref("s01")]
    ears.expect(wanted)
    heard(ears, wanted)
    ears.forget([ref("s01")])
    for name in ("s01", "s00"):
        served.plain.delete(ref(name), uid=served.plain.get(ref(name))["metadata"]["uid"])
    assert heard(ears, wanted) == {ref("s00"): None}


def onboarded(served, ears):
    """Onboard everything with ears; give the outcome and what was asked since."""
    plan = make_plan(served.session(), book({"w": NAMES}, in_flight=4))
    assert apply(served.session(), plan, through="ingress").exit == 0
    cluster = served.speak()
    began = len(served.server.log)
    served.moving_most = 0
    around = served.session(hearing=ears, cluster=cluster)
    outcome = apply(around, plan)
    return outcome, [each for each in served.server.log[began:] if each.user != CONTROL_PLANE.name]


def watches(log):
    return [each for each in log if ("watch", "1") in each.query]


def test_a_window_that_hears_opens_one_watch_and_reads_what_has_come_to_rest(served, ears):
    outcome, log = onboarded(served, ears)
    assert outcome.exit == 0
    assert served.moving_most <= 4
    assert all(each.get(REV) == "2-0" for name, each in served.templates().items() if name in NAMES)
    assert [(each.path, each.status) for each in watches(log)] == [("/apis/apps/v1/deployments", 200)]
    for name in NAMES:
        reads = [each for each in log if each.method == "GET" and each.path.endswith(f"/deployments/{name}")]
        assert len(reads) >= 2, "read before its change and after it came to rest"


def test_who_may_not_watch_looks_at_intervals(served):
    put(served.plain, _may_not_watch("reader"))
    deaf = Hearing(served.speak("reader").once())
    outcome, log = onboarded(served, deaf)
    assert outcome.exit == 0
    assert [each.status for each in watches(log)] == [403]
    assert not deaf.hears([ref("s00")])


def _may_not_watch(user):
    api, role = "rbac.authorization.k8s.io/v1", {"kind": "ClusterRole", "name": user}
    rules = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}]
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    return [
        {"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": user}, "rules": rules},
        {
            "apiVersion": api,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": user},
            "roleRef": {**role, "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": subjects,
        },
    ]
