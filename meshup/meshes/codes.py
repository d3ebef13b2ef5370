"""What the codes of drivers and rendering mean."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "MU4101": "The program or the charts that render the mesh's manifests were not found or could not be run. meshup renders offline "
    "with the mesh's own tool and applies the result itself.",
    "MU4102": "The program that renders is of another release than the runbook pins. Two releases are never mixed.",
    "MU4103": "The program that renders the manifests refused its input; its own message is shown.",
    "MU4104": "The rendered or vendored manifests are not those that meshup.lock pins. Somebody changed them, or the program did.",
    "MU4105": "A manifest is no YAML, or holds something that is no Kubernetes object.",
    "MU4106": "The vendored folder is empty, is not there, or holds a link that leads out of it.",
}
