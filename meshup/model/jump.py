"""What speaks against the step from one release to another: what is gone in the new one, and what both must trust."""

from __future__ import annotations

from dataclasses import dataclass

from meshup.model.objects import Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Something that is in use and that a release no longer has. object: for people, with the place in it in `because`."""

    object: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Where the certificates stand that proxies trust, and those that a control plane would sign by.

    bundle, entry: a ConfigMap and the key in it, of the roots that proxies trust now. signers: Secrets, in the order in
    which a control plane takes the first that is there. entries: keys of certificates in them, the root first; what else is
    in such a Secret is private, and never looked at.
    """

    bundle: Ref
    entry: str
    signers: tuple[Ref, ...]
    entries: tuple[str, ...]
