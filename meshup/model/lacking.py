"""What of the ledger a cluster lacks: kinds and policies that are not there, or not as they ship. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from meshup.model.objects import Object, Ref, dig, is_managed, ref_of
from meshup.model.problem import Problem, Where

DEFINITIONS = tuple(f"{each}.meshup.dev" for each in ("meshledgers", "meshreleases", "meshpins", "optins", "meshruns"))
"""Kinds of the ledger, in the order of writing."""
DEFINITION = "CustomResourceDefinition"
BOUNDS = Ref(api_version="meshup.dev/v1", kind="MeshLedger", name="meshup")
ADMISSION = "admissionregistration.k8s.io/v1"
REQUIRED = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
STAMPS = ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")
STAMPED = ("v1", "v1beta1", "v1alpha1")
"""Versions in which a server may serve what stamps, newest first."""
USUAL: Mapping[str, Any] = {
    "namespaceSelector": {},
    "objectSelector": {},
    "matchPolicy": "Equivalent",
    "scope": "*",
    "failurePolicy": "Fail",
}
"""What a server fills in where a policy says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One object that the ledger needs. how: new, or changed back to what is shipped."""

    body: Object
    how: Literal["new", "changed"]

    @property
    def ref(self) -> Ref:
        """Which object it is."""
        return ref_of(self.body)


def lacking(
    shipped: Iterable[Object], find: Callable[[Ref], Object | None], served: Container[tuple[str, str]]
) -> Iterator[Wanted | Problem]:
    """Yield what an installation would write, in order, and what forbids it (MU2341); nothing when all is there.

    find: gives an object of the cluster, None when it, or its kind, is not there. served: (api_version, kind) of what the
    server serves. Bounds that are there stay as they are.
    """
    for each in shipped:
        body = as_served(each, served)
        if body is None:
            continue
        there = find(ref_of(body))
        if there is None:
            yield Wanted(body=body, how="new")
            continue
        if not is_as_shipped(body, there):
            wrong = _newer(body, there) if body["kind"] == DEFINITION else _foreign(body, there)
            yield wrong or Wanted(body=body, how="changed")


def is_as_shipped(body: Object, there: Object) -> bool:
    """Tell whether an object that is there does what was shipped."""
    if body["kind"] == DEFINITION:
        return _newer(body, there) is None and covers(there["spec"], body["spec"])
    return bool(body["kind"] == BOUNDS.kind or plain(there["spec"]) == plain(body["spec"]))


def plain(spec: Any) -> Any:
    """Give a spec without what the server filled in, so that it compares with what was shipped."""
    if isinstance(spec, Mapping):
        return {key: plain(value) for key, value in spec.items() if not (key in USUAL and value == USUAL[key])}
    return [plain(each) for each in spec] if isinstance(spec, list) else spec


def as_served(body: Object, served: Container[tuple[str, str]]) -> Object | None:
    """Give a shipped object in the version that a server takes; None when that is a stamping policy and it takes none."""
    if body["kind"] not in STAMPS:
        return body
    versions = (f"{ADMISSION.partition('/')[0]}/{version}" for version in STAMPED)
    found = next((version for version in versions if (version, body["kind"]) in served), "")
    return {**body, "apiVersion": found} if found else None


def covers(there: Any, wanted: Any) -> bool:
    """Tell whether all that is wanted is there; more may be."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            key in there and covers(there[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(covers(a, b) for a, b in zip(there, wanted, strict=True))
        )
    return bool(there == wanted)


def _newer(body: Object, there: Object) -> Problem | None:
    ours = {each["name"] for each in dig(body, "spec", "versions") or ()}
    more = [each["name"] for each in dig(there, "spec", "versions") or () if each["name"] not in ours]
    name = dig(body, "metadata", "name")
    what = f"apiextensions.k8s.io {name} has the version {more[0]}" if more else ""
    return _forbidden(body, what, "a newer meshup has installed it") if more else None


def _foreign(body: Object, there: Object) -> Problem | None:
    if is_managed(there):
        return None
    return _forbidden(body, f"{ref_of(body)} is not meshup's", "it was made by somebody else, without meshup's label")


def _forbidden(body: Object, what: str, why: str) -> Problem:
    return Problem(
        code="MU2341",
        what=what,
        why=why,
        fix="use the meshup that installed it, or rename what is there",
        at=Where(object=str(ref_of(body))),
    )
