"""The lab's network: a namespace for the node, a link from the host into it, and the network of the pods."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from . import config
from .config import Home
from .errors import run

BRIDGE = "mlab-pods"
POD_NETWORK = "meshup-lab"
FIX = "`down` removes what an earlier lab left; a full lab needs root and the package iproute2"
NAMES = Path("/run/netns")


def create(home: Home) -> None:
    """Make the namespace and let the host reach node, pods and services through it."""
    if not _is_mount(NAMES):
        (home.state / "netns-mount").touch()
    node = f"{config.NODE_IP}/{config.LINK_PREFIX}"
    _ip(home, "netns", "add", config.NETNS)
    ends = ("link", "add", config.HOST_LINK, "type", "veth", "peer", "name", config.NODE_LINK, "netns", config.NETNS)
    _ip(home, *ends)
    _ip(home, "address", "add", f"{config.HOST_IP}/{config.LINK_PREFIX}", "dev", config.HOST_LINK)
    _ip(home, "link", "set", config.HOST_LINK, "up")
    for destination in (config.POD_CIDR, config.SERVICE_CIDR):
        _ip(home, "route", "add", destination, "via", config.NODE_IP)
    _ip(home, "-n", config.NETNS, "link", "set", "lo", "up")
    _ip(home, "-n", config.NETNS, "address", "add", node, "dev", config.NODE_LINK)
    _ip(home, "-n", config.NETNS, "link", "set", config.NODE_LINK, "up")
    _ip(
        home, "-n", config.NETNS, "route", "add", "default", "via", config.HOST_IP
    )  # the kubelet looks for one; leads nowhere
    # Pod to service to pod on one bridge only works when bridged packets pass the firewall too.
    for setting in ("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"):
        run("nsenter", f"--net={NAMES / config.NETNS}", "sysctl", "-q", "-w", setting, owner=home.state, fix=FIX)


def remove(home: Home) -> None:
    """Take the namespace away, and with it every rule, route and device in it, and our end of the link. May repeat."""
    # The link first: a namespace that is deleted takes its end of it away at a later moment.
    if Path(f"/sys/class/net/{config.HOST_LINK}").exists():
        _ip(home, "link", "delete", config.HOST_LINK)
    if (NAMES / config.NETNS).exists():
        _ip(home, "netns", "delete", config.NETNS)
    if (home.state / "netns-mount").exists() and _is_mount(NAMES) and not any(NAMES.iterdir()):
        run("umount", NAMES, owner=home.state, fix=FIX)
    for result in Path("/var/lib/cni/results").glob(f"{POD_NETWORK}-*-eth0"):
        pod = result.name.removeprefix(f"{POD_NETWORK}-").removesuffix("-eth0")
        result.with_name(f"cni-loopback-{pod}-lo").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            result.unlink()


def pod_network(leases: Path) -> dict[str, Any]:
    """Give what the container network plugins are told."""
    ranges = [[{"subnet": config.POD_CIDR}]]
    addresses = {"type": "host-local", "dataDir": str(leases), "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "1.0.0", "name": POD_NETWORK, "plugins": [bridge]}


def mounts() -> list[str]:
    """Give the mount points of this program's view, in the order they were made."""
    lines = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    return [line.split()[4].replace("\\040", " ") for line in lines]


def _is_mount(path: Path) -> bool:
    return str(path) in mounts()


def _ip(home: Home, *words: str) -> None:
    run("ip", *words, owner=home.state, fix=FIX)
