"""Who asks: identities as the front or the caller states them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One authenticated identity."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def described(self) -> dict[str, object]:
        """Give it as a review shows it."""
        found: dict[str, object] = {"username": self.name}
        if self.uid:
            found["uid"] = self.uid
        found["groups"] = list(self.groups)
        if self.extra:
            found["extra"] = {key: list(value) for key, value in self.extra.items()}
        return found


ADMIN = User(name="kubernetes-admin", groups=(MASTERS, AUTHENTICATED))
CONTROL_PLANE = User(name="system:apiserver", groups=(MASTERS, AUTHENTICATED))
ANONYMOUS = User(name="system:anonymous", groups=("system:unauthenticated",))


def service_account(namespace: str, name: str) -> User:
    """Give the identity of a service account."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(name=f"system:serviceaccount:{namespace}:{name}", groups=groups)


def from_headers(headers: Mapping[str, str]) -> User:
    """Read the identity that the front has set; without one it is the administrator."""
    name = headers.get("x-meshup-user")
    if name is None:
        return ADMIN
    if name == ANONYMOUS.name:
        return ANONYMOUS
    groups = tuple(each for each in headers.get("x-meshup-groups", "").split(",") if each)
    named = (*(each for each in groups if each != AUTHENTICATED), AUTHENTICATED)
    return User(name=name, groups=named, uid=headers.get("x-meshup-uid", ""))


def impersonated(headers: Mapping[str, str]) -> User | None:
    """Give the identity that the caller wants to take on, None when it asks for none."""
    name = headers.get("impersonate-user")
    if name is None:
        return None
    groups = tuple(each for each in headers.get("impersonate-group", "").split(",") if each)
    extra = {
        key.removeprefix("impersonate-extra-"): (value,)
        for key, value in headers.items()
        if key.startswith("impersonate-extra-")
    }
    if name == ANONYMOUS.name:
        return ANONYMOUS
    if name.startswith("system:serviceaccount:") and not groups and name.count(":") == 3:
        _, _, namespace, account = name.split(":")
        return service_account(namespace, account)
    if AUTHENTICATED not in groups:
        groups = (*groups, AUTHENTICATED)
    return User(name=name, groups=groups, uid=headers.get("impersonate-uid", ""), extra=extra)
