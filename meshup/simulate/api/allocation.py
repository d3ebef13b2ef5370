"""Addresses and node ports of Services: given once, kept until the Service goes."""

from __future__ import annotations

from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.problems import cause, invalid
from meshup.simulate.api.store import Obj, Store

SERVICES = ("", "services")


class Addresses:
    """Gives cluster addresses from 10.96.0.0/16 and node ports from 30000-32767, in order."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._address, self._port = 10, 30000

    def given(self, kind: Kind, obj: Obj) -> Obj:
        """Give a Service its addresses and ports. Raises Refusal when one that is asked for is taken."""
        spec = dict(obj["spec"])
        if spec.get("type") != "ExternalName":
            if not spec.get("clusterIP"):
                self._address += 1
                spec["clusterIP"] = f"10.96.{self._address // 250}.{self._address % 250 + 1}"
            elif spec["clusterIP"] != "None":
                self._free(kind, obj, spec["clusterIP"])
            spec.setdefault("clusterIPs", [spec["clusterIP"]])
            spec.setdefault("ipFamilies", ["IPv4"])
            spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec.get("type") in ("NodePort", "LoadBalancer") and spec.get("allocateLoadBalancerNodePorts", True):
            spec["ports"] = [
                {**each, "nodePort": each.get("nodePort") or self._next()} for each in spec.get("ports") or ()
            ]
        return {**obj, "spec": spec}

    def _next(self) -> int:
        self._port += 1
        return self._port

    def _free(self, kind: Kind, obj: Obj, address: str) -> None:
        for each in self._store.list(SERVICES):
            if each["spec"].get("clusterIP") == address:
                why = f'Invalid value: ["{address}"]: failed to allocate IP {address}: provided IP is already allocated'
                name = obj["metadata"]["name"]
                raise invalid(kind.kind, kind.group, name, [cause("FieldValueInvalid", why, "spec.clusterIPs")])
