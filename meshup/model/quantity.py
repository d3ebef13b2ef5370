"""Kubernetes quantities: 100m, 1Gi, 2, 1e3."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

QUANTITY = re.compile(r"^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?)([numkMGTPE]|[KMGTPE]i)?$")
UNITS = {"": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(1000)}
UNITS |= {unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)}
UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def quantity(raw: Any) -> Decimal:
    """Read a quantity: a number with a decimal, binary or exponent suffix. Raises ValueError."""
    found = QUANTITY.match(str(raw).strip())
    if found is None:
        raise ValueError(f"{raw!r} is no quantity")
    return Decimal(found[1]) * UNITS[found[2] or ""]
