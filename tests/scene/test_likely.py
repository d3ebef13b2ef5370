"""Likely causes follow from the proxies' own counts, each with the number it rests on; nothing counted names no cause."""

from __future__ import annotations

import pytest

from meshup.gates.likely import CAUSES, MUCH_THROTTLED, OOM, THROTTLED, likely
from meshup.model.scene import Witness


def pod(name: str, **signs: float) -> Witness:
    return Witness(object=f"Pod shop/{name}", signs={key.replace("__", "."): value for key, value in signs.items()})


SIGNS = [(cause, sign, least) for cause, signs, least in CAUSES for sign in signs]


@pytest.mark.parametrize(("cause", "sign", "least"), SIGNS, ids=[sign for _, sign, _ in SIGNS])
def test_each_sign_names_its_cause_with_its_number_and_below_its_bound_none(
    cause: str, sign: str, least: float
) -> None:
    (said,) = likely([Witness(object="Pod shop/cart-1", signs={sign: least})])
    number = f"{least:.0%}" if sign == THROTTLED else "1"
    assert said == f"{cause}: {sign} {number} at Pod shop/cart-1"
    assert likely([Witness(object="Pod shop/cart-1", signs={sign: least * 0.9})]) == ()


def test_what_breaks_everything_else_comes_first_and_pods_are_counted() -> None:
    found = likely([pod("cart-1", upstream_cx_overflow=7, update_rejected=2), pod("cart-2", update_rejected=3)])
    assert found == (
        "a rejected configuration: update_rejected 5 at 2 pods, Pod shop/cart-1 first",
        "a limit on connections: upstream_cx_overflow 7 at Pod shop/cart-1",
    )


def test_refused_certificates_stand_before_other_errors_of_a_handshake() -> None:
    (said,) = likely([pod("cart-1", ssl__connection_error=40, ssl__fail_verify=3)])
    assert said.startswith("a certificate or its trust: ssl.fail_verify 3 at Pod shop/cart-1, ssl.connection_error 40")


def test_waiting_for_the_processor_is_a_share_and_the_worst_pod_counts() -> None:
    several = [
        Witness(object=f"Pod shop/cart-{at}", signs={THROTTLED: MUCH_THROTTLED + at / 10, OOM: 0}) for at in (1, 2)
    ]
    assert likely(several) == ("the proxy's CPU limit: cpu.throttled 45% at 2 pods, Pod shop/cart-1 first",)
