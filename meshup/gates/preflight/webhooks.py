"""injector-reachable: webhooks that decide over pods of the rollout and fail closed have somebody ready behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from meshup.gates.preflight.facts import Facts, Found
from meshup.model.objects import Object, Ref, dig, labels, matches

HOME = "meshup-system"
KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
Hook = Mapping[str, Any]


def reachable(facts: Facts) -> Iterator[Found]:
    """Find webhooks that refuse pods when they do not answer, and that cannot answer."""
    spaces = [_labels(facts, each) for each in sorted(_namespaces(facts))]
    for kind in KINDS:
        for configuration in facts.snapshot.of(kind):
            for hook in configuration.get("webhooks") or ():
                selector = hook.get("namespaceSelector") or {}
                if (
                    hook.get("failurePolicy", "Fail") == "Fail"
                    and _is_for_pods(hook)
                    and any(matches(selector, each) for each in spaces)
                ):
                    yield from _answered(facts, configuration, hook)


def _namespaces(facts: Facts) -> set[str]:
    """Give the namespaces in which the rollout makes pods."""
    found = {each.namespace for each in facts.chosen()} | {facts.book.mesh.namespace, HOME}
    return found | ({facts.book.ingress.namespace} if facts.book.ingress is not None else set())


def _labels(facts: Facts, namespace: str) -> dict[str, str]:
    found = facts.namespace(namespace)
    return {"kubernetes.io/metadata.name": namespace, **(labels(found) if found is not None else {})}


def _is_for_pods(hook: Hook) -> bool:
    return any(
        {"pods", "*", "*/*"} & set(rule.get("resources") or ())
        and {"", "*"} & set(rule.get("apiGroups") or ())
        and {"CREATE", "*"} & set(rule.get("operations") or ())
        for rule in hook.get("rules") or ()
    )


def _answered(facts: Facts, configuration: Object, hook: Hook) -> Iterator[Found]:
    what = f"{configuration['kind']} {dig(configuration, 'metadata', 'name')}"
    where = dig(hook, "clientConfig", "service")
    if where is None:
        because = f"webhook {hook.get('name')} is at an address outside, which can't be asked from here"
        yield Found(object=what, because=because, is_open=True)
        return
    ref = Ref(api_version="v1", kind="Service", namespace=str(where.get("namespace")), name=str(where.get("name")))
    service = facts.snapshot.get(ref)
    behind = facts.behind(service) if service is not None else []
    if service is None:
        yield Found(object=what, because=f"webhook {hook.get('name')} calls {ref}, which is not there")
    elif behind is None:
        because = f"webhook {hook.get('name')} calls {ref}, which selects no pods: who answers is not known"
        yield Found(object=what, because=because, is_open=True)
    elif not behind:
        yield Found(object=what, because=f"webhook {hook.get('name')} has nobody ready behind {ref}")
    elif not dig(hook, "clientConfig", "caBundle"):
        yield Found(object=what, because=f"webhook {hook.get('name')} has no CA bundle")
