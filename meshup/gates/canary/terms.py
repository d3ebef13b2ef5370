"""What a runbook may say of a canary gate, and the settings that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from meshup.gates.gate import Terms
from meshup.model.canary import METRICS, USUAL, Comparing, Rule
from meshup.model.duration import Duration
from meshup.model.rules import FORM, read

USUALLY = ("errors", "connection-failures", "restarts", "latency", "memory")
"""What is compared where the runbook does not say: the two others need a kubelet, or traffic by mutual TLS."""

PARAMS: Mapping[str, tuple[type, Any, str]] = {
    "metrics": (list, list(USUALLY), f"what is compared, in this order: {', '.join(METRICS)}"),
    "smallest-rise": (float, 0.009, "smallest rise of the share of failed requests that must be found"),
    "false-stops": (
        float,
        0.02,
        "chance of a false stop over all waves, looks and metrics; half of it for errors that callers see",
    ),
    "error-limit": (float, 0.05, "share of failed requests above which the newest looks are not clean"),
    "error-hard-limit": (float, 0.25, "share of failed requests that fails at once, compared or not"),
    "watch": (Duration, Duration(120.0), "both revisions are watched at least this long"),
    "pooled": (list, [], "services with little traffic, judged together by wave: NAMESPACE/NAME"),
    "probes": (int, 30, "GETs that the new revision must have had, of each service with lowTraffic"),
    "rollbacks": (int, 0, "so many owners of the wave's services may go back while it is asked; more hold it"),
    "callers": (str, "needed", "what callers see: needed, or own where the service's own view may stand alone"),
    "rules": (list, [], f"what is made of the findings, as {FORM}; of several the most careful counts"),
    "control": (str, "", "revision to compare with; none = the one that the wave's services leave"),
    "age-gap": (Duration, Duration(600.0), "by how much the oldest pods of the two revisions may differ in age"),
}


def comparing(about: Mapping[str, Any], terms: Terms) -> Comparing:
    """Give the settings. about: as a reading holds it: cluster, control, canary, services, wave. Raises LookupError, TypeError."""
    said = {**{name: usual for name, (_, usual, _) in PARAMS.items()}, **terms.params}
    wave = tuple(str(each) for each in about["wave"])
    low = frozenset(wave) & {str(each) for each in about.get("low") or ()}
    known = {each.metric: each for each in USUAL}
    errors = replace(
        known["errors"],
        rise=float(said["smallest-rise"]),
        limit=float(said["error-limit"]),
        hard=float(said["error-hard-limit"]),
    )
    asked = {**known, "errors": errors}
    return Comparing(
        cluster=str(about["cluster"]),
        control=str(about["control"]),
        canary=str(about["canary"]),
        services=max(int(about["services"]), len(wave)),
        wave=wave,
        asked=tuple(asked[each] for each in said["metrics"]),
        callers_alpha=float(said["false-stops"]) / 2,
        rest_alpha=float(said["false-stops"]) / 2,
        least=terms.patience.least,
        pooled=(frozenset(wave) & {str(each) for each in said["pooled"]}) - low,
        low=low,
        least_probes=int(said["probes"]),
        age_gap_s=float(said["age-gap"]),
    )


def rules(terms: Terms) -> tuple[Rule, ...]:
    """Give the rules of the runbook. Raises ValueError for one that is none, which load refuses."""
    return tuple(read(each) for each in terms.params.get("rules") or ())


def watch_s(terms: Terms) -> float:
    """Give how long both revisions are watched at least."""
    return float(terms.params.get("watch", PARAMS["watch"][1]))
