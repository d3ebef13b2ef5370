"""Admission webhooks: which are called for a request, in the server's order, and what their answers do."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from meshup.model.objects import matches
from meshup.simulate.api.patch import json_patch
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.store import Obj, Store

ADMISSION = "admissionregistration.k8s.io"
CONFIGURATIONS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
Callee = Callable[[Obj], Obj]
"""Answers an AdmissionReview request with a response; raising means it could not be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as admission sees it.

    operation: CREATE, UPDATE, DELETE. name: "" for each object of a collection that is deleted. options: as they were
    sent with the request, of which policies see the field manager.
    """

    operation: str
    group: str
    version: str
    plural: str
    kind: str
    namespace: str
    name: str
    subresource: str = ""
    user: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    old: Obj | None = None


class Webhooks:
    """The webhooks of one cluster. callees: (namespace, service) -> what answers there."""

    def __init__(self, store: Store, callees: Mapping[tuple[str, str], Callee]) -> None:
        self._store, self._callees = store, callees

    def mutate(self, asked: Asked, obj: Obj) -> Obj:
        """Give the object after all mutating webhooks, in order of configuration name."""
        for hook in self._chosen("mutatingwebhookconfigurations", asked, obj):
            answer = self._call(hook, asked, obj, "mutating")
            if answer is None:
                continue
            if answer.get("patch"):
                obj = json_patch(obj, json.loads(base64.b64decode(answer["patch"])))
        return obj

    def validate(self, asked: Asked, obj: Obj) -> None:
        """Let all validating webhooks look. Raises Refusal when one denies."""
        for hook in self._chosen("validatingwebhookconfigurations", asked, obj):
            self._call(hook, asked, obj, "validating")

    def concern(self, asked: Asked, obj: Obj) -> bool:
        """Tell whether any webhook would be asked."""
        return any(self._chosen(each, asked, obj) for each in CONFIGURATIONS)

    def _chosen(self, plural: str, asked: Asked, obj: Obj) -> list[Obj]:
        if asked.group == ADMISSION:
            return []
        found = []
        for configuration in self._store.list((ADMISSION, plural)):
            for hook in configuration.get("webhooks") or ():
                if self._concerns(hook, asked, obj):
                    found.append(hook)
        return found

    def _concerns(self, hook: Obj, asked: Asked, obj: Obj) -> bool:
        if not any(rule_fits(rule, asked) for rule in hook.get("rules") or ()):
            return False
        labels = (obj.get("metadata") or {}).get("labels") or {}
        if not matches(hook.get("objectSelector") or {}, labels):
            return False
        namespace = asked.name if (asked.group, asked.plural) == ("", "namespaces") else asked.namespace
        if not namespace:
            return True
        found = self._store.get(("", "namespaces"), "", namespace)
        namespace_labels = ((found or {}).get("metadata") or {}).get("labels") or {}
        if (asked.group, asked.plural) == ("", "namespaces"):
            namespace_labels = labels
        return matches(hook.get("namespaceSelector") or {}, namespace_labels)

    def _call(self, hook: Obj, asked: Asked, obj: Obj, sort: str) -> Obj | None:
        """Give the answer; None when the webhook may be passed over. Raises Refusal."""
        name = hook["name"]
        service = (hook.get("clientConfig") or {}).get("service")
        if asked.dry_run and hook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise Refusal(400, f'admission webhook "{name}" does not support dry run', reason="BadRequest")
        if service is None:
            return self._failed(hook, "the simulator calls webhooks by their service only")
        where = (service["namespace"], service["name"])
        url = (
            f"https://{service['name']}.{service['namespace']}.svc:{service.get('port', 443)}{service.get('path', '/')}"
        )
        callee = self._callees.get(where)
        if callee is None:
            if self._store.get(("", "services"), *where) is None:
                return self._failed(
                    hook,
                    f'Post "{url}?timeout={hook.get("timeoutSeconds", 10)}s": service "{service["name"]}" not found',
                )
            why = f'no endpoints available for service "{service["name"]}"'
            return self._failed(hook, f'Post "{url}?timeout={hook.get("timeoutSeconds", 10)}s": {why}')
        try:
            answer = callee(_request(asked, obj, path=str(service.get("path", "/"))))
        except Exception as error:  # noqa: BLE001 - a callee that raises is one that could not be reached
            return self._failed(hook, f'Post "{url}?timeout={hook.get("timeoutSeconds", 10)}s": {error}')
        if not answer.get("allowed"):
            status = answer.get("status") or {}
            message = f'admission webhook "{name}" denied the request'
            if status.get("message"):
                message += f": {status['message']}"
            else:
                message += " without explanation"
            raise Refusal(int(status.get("code") or 400), message, reason=str(status.get("reason") or "BadRequest"))
        del sort
        return answer

    def _failed(self, hook: Obj, why: str) -> Obj | None:
        if hook.get("failurePolicy") == "Ignore":
            return None
        raise Refusal(
            500,
            f'Internal error occurred: failed calling webhook "{hook["name"]}": failed to call webhook: {why}',
            details={
                "causes": [{"message": f'failed calling webhook "{hook["name"]}": failed to call webhook: {why}'}]
            },
        )


def rule_fits(rule: Obj, asked: Asked) -> bool:
    """Tell whether a rule of a webhook or a policy names a request."""

    def among(name: str, value: str) -> bool:
        listed: list[Any] = rule.get(name) or []
        return "*" in listed or value in listed

    resource = f"{asked.plural}/{asked.subresource}" if asked.subresource else asked.plural
    resources = rule.get("resources") or []
    fits = resource in resources or "*/*" in resources or ("*" in resources and not asked.subresource)
    fits = fits or (bool(asked.subresource) and f"{asked.plural}/*" in resources)
    scope = rule.get("scope", "*")
    right_scope = scope == "*" or (scope == "Namespaced") == bool(asked.namespace)
    return (
        fits
        and right_scope
        and among("operations", asked.operation)
        and among("apiGroups", asked.group)
        and among("apiVersions", asked.version)
    )


def _request(asked: Asked, obj: Obj, *, path: str) -> Obj:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "path": path,
        "request": {
            "uid": "simulated",
            "kind": {"group": asked.group, "version": asked.version, "kind": asked.kind},
            "resource": {"group": asked.group, "version": asked.version, "resource": asked.plural},
            "name": asked.name,
            "namespace": asked.namespace,
            "operation": asked.operation,
            "userInfo": {"username": asked.user, "groups": list(asked.groups)},
            "object": None if asked.operation == "DELETE" else obj,
            "oldObject": asked.old,
            "dryRun": asked.dry_run,
        },
    }
