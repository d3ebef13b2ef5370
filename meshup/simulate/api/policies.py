"""ValidatingAdmissionPolicies: which concern a request, what their expressions say, and what a binding makes of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from meshup.model.objects import matches
from meshup.simulate.api import evaluating, expressions, parameters, rbac
from meshup.simulate.api.authorizing import Check
from meshup.simulate.api.problems import Refusal, cause, not_here
from meshup.simulate.api.registry import Registry
from meshup.simulate.api.store import Obj, Store
from meshup.simulate.api.webhooks import ADMISSION, Asked, rule_fits

POLICIES = (ADMISSION, "validatingadmissionpolicies")
BINDINGS = (ADMISSION, "validatingadmissionpolicybindings")
CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}
VARIABLES = frozenset({"object", "oldObject", "request", "namespaceObject", "variables", "authorizer"})


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
        variables = self._variables(spec, asked, obj, params)
        for each in spec.get("matchConditions") or ():
            try:
                if not evaluating.value(expressions.read(each["expression"]), variables):
                    return
            except evaluating.Failed as failed:
                if strict:
                    yield "Invalid", f"matchCondition '{each['name']}' resulted in error: {failed}"
                return
        for each in spec.get("validations") or ():
            text = str(each["expression"])
            try:
                if evaluating.value(expressions.read(text), variables) is True:
                    continue
            except evaluating.Failed as failed:
                if strict:
                    yield "Invalid", f"expression '{text}' resulted in error: {failed}"
                continue
            yield str(each.get("reason") or "Invalid"), _message(each, text, variables)

    def _may(self, asked: Asked) -> Callable[[rbac.Asked], bool]:
        who = rbac.User(name=asked.user, groups=asked.groups, uid=asked.uid)
        return lambda right: rbac.allowed(self._store, who, right)

    def _variables(self, spec: Obj, asked: Asked, obj: Obj, params: Obj | None) -> dict[str, Any]:
        found: dict[str, Any] = {
            "object": None if asked.operation == "DELETE" else obj,
            "oldObject": asked.old,
            "request": request_of(asked),
            "namespaceObject": self._namespace(asked),
            "params": params,
            "authorizer": Check(may=self._may(asked)),
        }
        lazy: dict[str, Any] = {}
        found["variables"] = lazy
        for each in spec.get("variables") or ():
            tree = expressions.read(str(each["expression"]))
            lazy[each["name"]] = lambda tree=tree: evaluating.value(tree, found)
        return found


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


def _message(validation: Obj, text: str, variables: Mapping[str, Any]) -> str:
    if validation.get("messageExpression"):
        try:
            said = evaluating.value(expressions.read(str(validation["messageExpression"])), variables)
        except evaluating.Failed:
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
    known = VARIABLES | ({"params"} if spec.get("paramKind") else set())
    yield from parameters.kind_rules(spec.get("paramKind"))
    validations = spec.get("validations") or []
    if not validations and not spec.get("auditAnnotations"):
        message = "Required value: validations or auditAnnotations must contain at least one item"
        yield cause("FieldValueRequired", message, "spec.validations")
        yield cause("FieldValueRequired", message, "spec.auditAnnotations")
    for number, each in enumerate(validations):
        at = f"spec.validations[{number}]"
        yield from _expression(each.get("expression"), f"{at}.expression", known)
        if each.get("messageExpression"):
            yield from _expression(each["messageExpression"], f"{at}.messageExpression", known)
        if each.get("reason", "Invalid") not in ("Forbidden", "Invalid", "RequestEntityTooLarge"):
            supported = '"Forbidden", "Invalid", "RequestEntityTooLarge"'
            message = f'Unsupported value: "{each["reason"]}": supported values: {supported}'
            yield cause("FieldValueNotSupported", message, f"{at}.reason")
    for where in ("matchConditions", "variables"):
        for number, each in enumerate(spec.get(where) or ()):
            yield from _expression(each.get("expression"), f"spec.{where}[{number}].expression", known)


def _expression(text: Any, at: str, known: frozenset[str]) -> Iterator[dict[str, str]]:
    if not str(text or "").strip():
        yield cause("FieldValueRequired", "Required value: expression is not specified", at)
        return
    try:
        tree = expressions.read(str(text))
    except expressions.Unreadable as error:
        message = f'Invalid value: "{text}": compilation failed: ERROR: <input>:1:1: Syntax error: {error}'
        yield cause("FieldValueInvalid", message, at)
        return
    for name in evaluating.unknown_functions(tree):
        raise not_here(f"the function {name} in expressions")
    if "params" in evaluating.names(tree) - known:
        yield cause("FieldValueInvalid", f'Invalid value: "{text}": {_undeclared(str(text), "params")}', at)
        return
    for name in sorted(evaluating.names(tree) - known):
        raise not_here(f"the variable {name} in expressions")


def _undeclared(text: str, name: str) -> str:
    column = text.index(name)
    lines = (f"compilation failed: ERROR: <input>:1:{column + 1}: undeclared reference to '{name}' (in container '')",)
    return "\n".join((*lines, f" | {text}", f" | {'.' * column}^"))


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
