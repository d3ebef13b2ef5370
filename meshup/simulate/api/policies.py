"""ValidatingAdmissionPolicies: which concern a request, what their expressions say, and what a binding makes of that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from meshup.model.objects import matches
from meshup.simulate.api import expressions, parameters, rbac
from meshup.simulate.api.evaluating import Failed, Given
from meshup.simulate.api.problems import Refusal, cause, not_here
from meshup.simulate.api.registry import Registry
from meshup.simulate.api.store import Obj, Store
from meshup.simulate.api.webhooks import ADMISSION, Asked, rule_fits

POLICIES = (ADMISSION, "validatingadmissionpolicies")
BINDINGS = (ADMISSION, "validatingadmissionpolicybindings")
CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}


class Policies:
    """The policies of one cluster, judged at once for every write."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store, self._registry = store, registry

    def judge(self, asked: Asked, obj: Obj, warnings: list[str]) -> None:
        """Let every policy that is bound look at a request. Adds warnings; raises Refusal when one denies."""
        if asked.group == ADMISSION:
            return
        denied: list[tuple[str, str]] = []
        for policy, binding in self._bound(asked, obj):
            named = f"'{policy['metadata']['name']}'"
            where = f"{named} with binding '{binding['metadata']['name']}'"
            actions = (binding.get("spec") or {}).get("validationActions") or ()
            try:
                given = parameters.chosen(self._store, self._registry, policy, binding, asked.namespace)
            except parameters.Unserved as unserved:
                given = []
                denied.append(("Invalid", f"ValidatingAdmissionPolicy {named} denied request: {unserved}"))
            except parameters.Missing as missing:
                given = []
                denied.append(("Invalid", f"ValidatingAdmissionPolicy {where} denied request: {missing}"))
            for reason, why in (each for params in given for each in self._failures(policy, asked, obj, params)):
                if "Deny" in actions:
                    denied.append((reason, f"ValidatingAdmissionPolicy {where} denied request: {why}"))
                if "Warn" in actions:
                    warnings.append(f"Validation failed for ValidatingAdmissionPolicy {where}: {why}")
        if denied:
            raise _refusal(asked, denied)

    def concern(self, asked: Asked, obj: Obj) -> bool:
        """Tell whether any policy would be asked."""
        return next(self._bound(asked, obj), None) is not None

    def _bound(self, asked: Asked, obj: Obj) -> Iterator[tuple[Obj, Obj]]:
        for policy in self._store.list(POLICIES):
            if not self._concerns((policy.get("spec") or {}).get("matchConstraints") or {}, asked, obj):
                continue
            for binding in self._store.list(BINDINGS):
                spec = binding.get("spec") or {}
                if spec.get("policyName") != policy["metadata"]["name"]:
                    continue
                if self._concerns(spec.get("matchResources") or {}, asked, obj):
                    yield policy, binding

    def _concerns(self, constraints: Obj, asked: Asked, obj: Obj) -> bool:
        """Tell whether rules and selectors fit. Without rules of its own a binding takes all of its policy's."""
        rules = constraints.get("resourceRules")
        if rules and not any(_fits(rule, asked) for rule in rules):
            return False
        if any(_fits(rule, asked) for rule in constraints.get("excludeResourceRules") or ()):
            return False
        labels = (obj.get("metadata") or {}).get("labels") or {}
        if not matches(constraints.get("objectSelector") or {}, labels):
            return False
        about_namespace = (asked.group, asked.plural) == ("", "namespaces")
        if about_namespace:
            return matches(constraints.get("namespaceSelector") or {}, labels)
        found = self._namespace(asked)
        return found is None or matches(
            constraints.get("namespaceSelector") or {}, found["metadata"].get("labels") or {}
        )

    def _namespace(self, asked: Asked) -> Obj | None:
        return self._store.get(("", "namespaces"), "", asked.namespace) if asked.namespace else None

    def _failures(self, policy: Obj, asked: Asked, obj: Obj, params: Obj | None) -> Iterator[tuple[str, str]]:
        """Yield reason and message of each validation that does not hold."""
        spec = policy["spec"]
        strict = spec.get("failurePolicy", "Fail") == "Fail"
        given = Given(_language(spec), self._seen(asked, obj, params), self._may(asked))
        for each in spec.get("matchConditions") or ():
            try:
                if not given.value(str(each["expression"])):
                    return
            except Failed as failed:
                if strict:
                    yield "Invalid", f"matchCondition '{each['name']}' resulted in error: {failed}"
                return
        for each in spec.get("validations") or ():
            text = str(each["expression"])
            try:
                if given.value(text) is True:
                    continue
            except Failed as failed:
                if strict:
                    yield "Invalid", f"expression '{text}' resulted in error: {failed}"
                continue
            yield str(each.get("reason") or "Invalid"), _message(each, text, given)

    def _may(self, asked: Asked) -> Callable[[rbac.Asked], bool]:
        who = rbac.User(name=asked.user, groups=asked.groups, uid=asked.uid)
        return lambda right: rbac.allowed(self._store, who, right)

    def _seen(self, asked: Asked, obj: Obj, params: Obj | None) -> Obj:
        return {
            "object": None if asked.operation == "DELETE" else obj,
            "oldObject": asked.old,
            "request": request_of(asked),
            "namespaceObject": self._namespace(asked),
            "params": params,
            "authorizer": {},
            "authorizer.requestResource": {
                "group": asked.group,
                "resource": asked.plural,
                "subresource": asked.subresource,
                "namespace": asked.namespace,
                "name": asked.name,
            },
        }


def _language(spec: Obj) -> expressions.Language:
    variables = tuple((str(each["name"]), str(each.get("expression") or "")) for each in spec.get("variables") or ())
    return expressions.language(variables, params=bool(spec.get("paramKind")))


def request_of(asked: Asked) -> Obj:
    """Give the request as expressions see it."""
    return {
        "kind": {"group": asked.group, "version": asked.version, "kind": asked.kind},
        "resource": {"group": asked.group, "version": asked.version, "resource": asked.plural},
        "subResource": asked.subresource,
        "name": asked.name,
        "namespace": asked.namespace,
        "operation": asked.operation,
        "userInfo": {
            "username": asked.user,
            **({"uid": asked.uid} if asked.uid else {}),
            "groups": list(asked.groups),
        },
        "options": dict(asked.options),
        "dryRun": asked.dry_run,
    }


def _message(validation: Obj, text: str, given: Given) -> str:
    if validation.get("messageExpression"):
        try:
            said = given.value(str(validation["messageExpression"]))
        except Failed:
            said = ""
        if isinstance(said, str) and said.strip():
            return said.strip()
    return str(validation.get("message") or "").strip() or f"failed expression: {text.strip()}"


def _fits(rule: Obj, asked: Asked) -> bool:
    named = rule.get("resourceNames")
    return rule_fits(rule, asked) and (not named or asked.name in named)


def _refusal(asked: Asked, denied: list[tuple[str, str]]) -> Refusal:
    reason, why = denied[0]
    named = f"{asked.plural}.{asked.group}" if asked.group else asked.plural
    name = asked.name or ("Unknown" if asked.operation == "DELETE" else "")
    details: Obj = {"name": name} if name else {}
    if asked.group:
        details["group"] = asked.group
    details |= {"kind": asked.plural, "causes": [{"message": why}]}
    shown = f'{named} "{name}"' if name else named
    return Refusal(CODES.get(reason, 422), f"{shown} is forbidden: {why}", reason=reason, details=details)


def policy_rules(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    """Yield what is wrong with a policy. Raises Refusal 501 for what is not evaluated here."""
    spec = obj.get("spec") or {}
    yield from parameters.kind_rules(spec.get("paramKind"))
    validations = spec.get("validations") or []
    if not validations and not spec.get("auditAnnotations"):
        message = "Required value: validations or auditAnnotations must contain at least one item"
        yield cause("FieldValueRequired", message, "spec.validations")
        yield cause("FieldValueRequired", message, "spec.auditAnnotations")
    language = _language(spec)
    for number, each in enumerate(validations):
        at = f"spec.validations[{number}]"
        yield from _expression(language, each.get("expression"), f"{at}.expression", "bool")
        if each.get("messageExpression"):
            yield from _expression(language, each["messageExpression"], f"{at}.messageExpression", "string")
        if each.get("reason", "Invalid") not in ("Forbidden", "Invalid", "RequestEntityTooLarge"):
            supported = '"Forbidden", "Invalid", "RequestEntityTooLarge"'
            message = f'Unsupported value: "{each["reason"]}": supported values: {supported}'
            yield cause("FieldValueNotSupported", message, f"{at}.reason")
    for number, each in enumerate(spec.get("matchConditions") or ()):
        yield from _expression(language, each.get("expression"), f"spec.matchConditions[{number}].expression", "bool")
    for number, each in enumerate(spec.get("variables") or ()):
        yield from _variable(language, each, f"spec.variables[{number}].expression")


def _variable(language: expressions.Language, variable: Obj, at: str) -> Iterator[dict[str, str]]:
    if str(variable.get("expression") or "").strip() and variable["name"] in language.broken:
        yield _unreadable(str(variable["expression"]), at, language.broken[variable["name"]])
    else:
        yield from _expression(language, variable.get("expression"), at, "")


def _expression(language: expressions.Language, text: Any, at: str, wanted: str) -> Iterator[dict[str, str]]:
    """Yield what is wrong with an expression. wanted: the type it must have, "" for any."""
    if not str(text or "").strip():
        yield cause("FieldValueRequired", "Required value: expression is not specified", at)
        return
    try:
        sort = language.read(str(text)).sort
    except (expressions.NotHere, expressions.Unreadable) as error:
        yield _unreadable(str(text), at, error)
        return
    if wanted and sort not in (wanted, ""):
        yield _invalid(str(text), at, f"must evaluate to {wanted} but got {sort}")


def _unreadable(text: str, at: str, why: expressions.NotHere | expressions.Unreadable) -> dict[str, str]:
    if isinstance(why, expressions.NotHere):
        raise not_here(str(why)) from why
    return _invalid(text, at, str(why))


def _invalid(text: str, at: str, why: str) -> dict[str, str]:
    return cause("FieldValueInvalid", f"Invalid value: {json.dumps(text, ensure_ascii=False)}: {why}", at)


def binding_rules(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    """Yield what is wrong with a binding."""
    spec = obj.get("spec") or {}
    yield from parameters.ref_rules(spec.get("paramRef"))
    actions = spec.get("validationActions") or []
    at = "spec.validationActions"
    if not spec.get("policyName"):
        yield cause("FieldValueRequired", "Required value", "spec.policyName")
    if not actions:
        yield cause("FieldValueRequired", "Required value: at least one validation action is required", at)
    if "Deny" in actions and "Warn" in actions:
        shown = "[" + ",".join(f'"{each}"' for each in actions) + "]"
        why = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response "
            "and headers serves no purpose)"
        )
        yield cause("FieldValueInvalid", f"Invalid value: {shown}: {why}", at)
