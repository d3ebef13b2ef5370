"""Reviews: who am I, may I, what may I; they are answered and never stored."""

from __future__ import annotations

import json
from typing import Any

from meshup.model.objects import dig
from meshup.simulate.api import rbac
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.problems import bad_request, cause, invalid, not_here
from meshup.simulate.api.store import Obj, Store
from meshup.simulate.api.users import User, service_account


def review(store: Store, kind: Kind, body: Obj, user: User, *, now: str, namespace: str = "") -> Obj:
    """Answer a review. namespace: of the path it was sent to. Raises Refusal."""
    spec = body.get("spec") or {}
    match kind.kind:
        case "SelfSubjectReview":
            meta: Obj = {"creationTimestamp": now}
            status: Obj = {"userInfo": user.described()}
            return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta, "status": status}
        case "SelfSubjectAccessReview":
            return _answer(kind, body, spec, _decided(store, user, spec))
        case "SubjectAccessReview" | "LocalSubjectAccessReview":
            if not spec.get("user") and not spec.get("groups"):
                message = 'Invalid value: "": at least one of user or group must be specified'
                raise invalid("", kind.group, "", [cause("FieldValueInvalid", message, "spec.user")])
            if kind.kind == "LocalSubjectAccessReview":
                _same_namespace(kind, spec, namespace)
            asked = User(name=spec.get("user", ""), groups=tuple(spec.get("groups") or ()))
            return _answer(kind, body, spec, _decided(store, asked, spec))
        case "SelfSubjectRulesReview":
            return _answer(kind, body, {}, _rules(store, user, str(spec.get("namespace") or "")))
        case "TokenReview":
            return _answer(kind, body, spec, _token(str(spec.get("token", ""))))
        case _:
            raise not_here(f"reviews of kind {kind.kind}")


def _same_namespace(kind: Kind, spec: Obj, namespace: str) -> None:
    asked = str((spec.get("resourceAttributes") or {}).get("namespace") or "")
    if asked != namespace:
        message = f'Invalid value: "{asked}": must match metadata.namespace'
        causes = [cause("FieldValueInvalid", message, "spec.resourceAttributes.namespace")]
        raise invalid("", kind.group, "", causes)


def _answer(kind: Kind, body: Obj, spec: Obj, status: Obj) -> Obj:
    meta = body.get("metadata") or {}
    return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta, "spec": spec, "status": status}


def _decided(store: Store, user: User, spec: Obj) -> Obj:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        shown = json.dumps({"Path": other.get("path", ""), "Verb": other.get("verb", "")}, separators=(",", ":"))
        message = f"Invalid value: {shown}: cannot be specified in combination with resourceAttributes"
        causes = [cause("FieldValueInvalid", message, "spec.nonResourceAttributes")]
        raise invalid("", "authorization.k8s.io", "", causes)
    if resource is None and other is None:
        raise bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    if other is not None:
        asked = rbac.Asked(verb=other.get("verb", ""), path=other.get("path", ""))
    else:
        wanted: dict[str, Any] = resource or {}
        asked = rbac.Asked(
            verb=wanted.get("verb", ""),
            group=wanted.get("group", ""),
            resource=wanted.get("resource", ""),
            subresource=wanted.get("subresource", ""),
            namespace=wanted.get("namespace", ""),
            name=wanted.get("name", ""),
        )
    why = rbac.reason(store, user, asked)
    return {"allowed": False} if why is None else {"allowed": True, **({"reason": why} if why else {})}


def _rules(store: Store, user: User, namespace: str) -> Obj:
    if not namespace:
        raise bad_request("no namespace on request")
    resources, others = [], []
    for rule in rbac.rules(store, user, namespace):
        shown = {"verbs": list(rule.get("verbs") or ())}
        if rule.get("nonResourceURLs"):
            others.append({**shown, "nonResourceURLs": list(rule["nonResourceURLs"])})
        else:
            shown |= {"apiGroups": list(rule.get("apiGroups") or ()), "resources": list(rule.get("resources") or ())}
            if rule.get("resourceNames"):
                shown["resourceNames"] = list(rule["resourceNames"])
            resources.append(shown)
    return {"resourceRules": resources, "nonResourceRules": others, "incomplete": False}


TOKEN = "simulated:"  # noqa: S105 - how a token begins, not one
"""Tokens of service accounts read "simulated:NAMESPACE:NAME:UID"."""


def token_for(account: Obj) -> str:
    """Make a token of a service account."""
    meta = account["metadata"]
    return f"{TOKEN}{meta['namespace']}:{meta['name']}:{meta['uid']}"


def user_of_token(token: str) -> User | None:
    """Give the service account behind a token, None when it is none of ours."""
    parts = token.removeprefix(TOKEN).split(":")
    if not token.startswith(TOKEN) or len(parts) != 3:
        return None
    return service_account(parts[0], parts[1])


def _token(token: str) -> Obj:
    found = user_of_token(token)
    if found is None:
        return {"user": {}, "error": "[invalid bearer token]"}
    return {"authenticated": True, "user": found.described()}


def namespace_of(body: Obj) -> str:
    """Give the namespace a review is about."""
    return str(dig(body, "spec", "resourceAttributes", "namespace") or "")
