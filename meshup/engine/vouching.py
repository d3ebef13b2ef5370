"""On whose behalf CI acts: a person's token that the API server vouches for, or what is merely declared."""

from __future__ import annotations

from dataclasses import replace

from meshup.engine.session import Session
from meshup.model.objects import dig
from meshup.model.problem import Unreachable
from meshup.model.text import clean

AUDIENCE = "meshup"
"""Whom the token must be meant for: one that is meant for the API server, or for anybody else, proves nothing here."""


def vouched(session: Session, token: str, *, namespace: str) -> Session:
    """Give the session of somebody who acts for the owner of a token. namespace: of the service.

    The API server reviews the token (TokenReview, audience "meshup"): it must trust whoever issued it. Raises Unreachable:
    MU7101 when this identity may not ask, or may not vouch; MU3412 when the token is not accepted.
    """
    wanted = [("create", "authentication.k8s.io/tokenreviews", ""), ("vouch", "meshup.dev/meshpins", namespace)]
    missing = [each for each in wanted if not session.cluster.can_i(each[0], each[1], namespace=each[2])]
    if missing:
        raise Unreachable(
            f"{session.identity.user} may not vouch for the owner of a token",
            code="MU7101",
            details=tuple(f"{verb} {what}" + (f" in {space}" if space else "") for verb, what, space in missing),
            why="templates/rbac/ci.yaml holds these rights",
            fix="grant them, or leave the token out: the author is then declared, and not verified",
            cluster="nothing was changed",
        )
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "metadata": {},
        "spec": {"token": token, "audiences": [AUDIENCE]},
    }
    found = session.cluster.create(body)
    user, meant = clean(dig(found, "status", "user", "username") or ""), dig(found, "status", "audiences") or ()
    if dig(found, "status", "authenticated") is not True or not user or AUDIENCE not in meant:
        raise Unreachable(
            "the token of the one on whose behalf this is done is not accepted",
            code="MU3412",
            why=clean(dig(found, "status", "error") or "it is none of an issuer that the API server trusts", limit=300),
            fix=f'get one for the audience "{AUDIENCE}" that has not ended, or leave it out: the author is then declared',
            cluster="nothing was changed",
        )
    return replace(session, on_behalf_of=user, on_behalf_trust="verified")
