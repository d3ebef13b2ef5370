"""Where the end-to-end tests find a cluster: the lab (by default), kind, or one that a kubeconfig names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from .kind import Kind
from .kubeconfig import Named
from .lab import Lab
from .provider import Provider, Reached

PROVIDERS: Mapping[str, Callable[[], Provider]] = {"lab": Lab, "kind": Kind, "kubeconfig": Named}


def chosen() -> Provider:
    """Give the provider that MESHUP_E2E_PROVIDER names. Raises SystemExit when there is none of that name."""
    name = os.environ.get("MESHUP_E2E_PROVIDER") or "lab"
    if name not in PROVIDERS:
        raise SystemExit(f"there is no provider {name}: make e2e PROVIDER={'|'.join(PROVIDERS)}")
    return PROVIDERS[name]()


__all__ = ["PROVIDERS", "Provider", "Reached", "chosen"]
