"""Other users of a simulator: let in by name, held by the roles that are bound to their groups, as on any server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml
from asking import ask, call, read

from meshup.model.shipped import shipped
from meshup.simulate.api.users import AUTHENTICATED, User
from meshup.simulate.http import Front
from meshup.simulate.scenario import Simulation, load

CART = "/apis/apps/v1/namespaces/shop/deployments/cart"


@pytest.fixture(scope="module")
def shop() -> Simulation:
    """The shop, as it is shipped."""
    return load("shop")


@pytest.fixture
def front(shop: Simulation) -> Iterator[Front]:
    """The shop behind HTTP, with its own users."""
    made = Front(shop.server, users=shop.users, speed=0).start()
    yield made
    made.stop()


def let_in(front: Front, name: str, **more: object) -> tuple[int, dict]:
    """Ask for a user's kubeconfig."""
    response, body = call(front, "POST", "/simulator/users", {"name": name, **more})
    return response.status, json.loads(body)


def as_user(front: Front, told: dict, method: str, path: str, body: object = None, **headers: str) -> int:
    """Ask with the token of a kubeconfig that was given; gives the status."""
    token = told["kubeconfig"]["users"][0]["user"]["token"]
    return call(front, method, path, body, authorization=f"Bearer {token}", **headers)[0].status


def test_a_user_has_the_rights_of_their_groups_and_no_others(front: Front) -> None:
    _, carol = let_in(front, "carol", groups=["shop-owners"])
    _, dave = let_in(front, "dave", groups=["payments-owners"])
    merge = {"content-type": "application/merge-patch+json"}
    patch = {"metadata": {"annotations": {"note": "mine"}}}
    assert as_user(front, carol, "PATCH", CART, patch, **merge) == 200
    assert as_user(front, dave, "PATCH", CART, patch, **merge) == 403
    assert as_user(front, dave, "GET", CART) == 403
    assert as_user(front, carol, "GET", "/api/v1/namespaces/shop/secrets") == 403
    assert as_user(front, carol, "GET", "/api/v1/namespaces") == 403


def test_a_user_without_a_group_may_nothing_and_is_told_so(front: Front) -> None:
    status, told = let_in(front, "eve")
    assert (status, told["groups"], told["roles"]) == (200, [], [])
    assert as_user(front, told, "GET", CART) == 403


def test_the_roles_that_are_told_are_those_that_are_bound(front: Front) -> None:
    _, told = let_in(front, "carol", groups=["shop-owners"])
    assert "meshup-owner in shop" in told["roles"]
    assert "meshup-owner-reads" in told["roles"]
    assert not any(each.startswith("system:") for each in told["roles"])


def test_other_groups_take_the_place_of_those_before_and_none_leave_them(front: Front) -> None:
    let_in(front, "carol", groups=["shop-owners"])
    _, same = let_in(front, "carol")
    assert same["groups"] == ["shop-owners"]
    _, other = let_in(front, "carol", groups=["payments-owners"])
    assert as_user(front, other, "GET", CART) == 403
    assert as_user(front, same, "GET", CART) == 403, "it is the same token"


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("", []),
        ("system:admin", []),
        ("eve", ["system:masters"]),
        ("a/../../b", []),
        ("a,system:masters", []),
        ("eve", ["a,system:masters"]),
        ("eve\n", []),
        ("e" * 65, []),
        ("admin", ["shop-owners"]),
    ],
)
def test_nobody_is_let_in_as_a_part_of_the_system(front: Front, name: str, groups: list[str]) -> None:
    before = dict(front.users)
    status, told = let_in(front, name, groups=groups)
    assert (status, bool(told["error"]), front.users) == (400, True, before)


def test_the_administrator_is_not_among_the_people(front: Front) -> None:
    names = [each["name"] for each in json.loads(call(front, "GET", "/simulator/users")[1])["users"]]
    assert {"alice", "bob", "pia", "viewer"} <= set(names)
    assert "kubernetes-admin" not in names


def test_each_shipped_role_is_in_the_shop_as_its_file_says(shop: Simulation) -> None:
    for file in sorted((shipped("templates") / "rbac").glob("*.yaml")):
        for each in yaml.safe_load_all(file.read_text("utf-8")):
            if not each or each["kind"] not in ("ClusterRole", "Role"):
                continue
            namespace = each["metadata"].get("namespace", "")
            plural = {"ClusterRole": "clusterroles", "Role": "roles"}[each["kind"]]
            group = ("rbac.authorization.k8s.io", plural)
            there = shop.server.store.get(group, namespace, each["metadata"]["name"])
            assert there is not None, each["metadata"]["name"]
            assert there["rules"] == each["rules"]


def test_the_platform_may_do_what_an_owner_may_not(shop: Simulation) -> None:
    users = {each.name: each for each in shop.users.values()}
    for name, status in (("pia", 200), ("alice", 403), ("viewer", 200)):
        assert ask(shop.server.as_user(users[name]), "GET", "/api/v1/namespaces").status == status, name
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}
    for name, status in (("pia", 201), ("alice", 403), ("viewer", 403)):
        found = ask(shop.server.as_user(users[name]), "POST", "/api/v1/namespaces", body, dryRun="All")
        assert found.status == status, read(found)


def test_a_user_of_the_shop_is_authenticated(shop: Simulation) -> None:
    assert all(isinstance(each, User) and AUTHENTICATED in each.groups for each in shop.users.values())
