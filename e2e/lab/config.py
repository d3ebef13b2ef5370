"""Pinned versions and addresses of the lab, and the places where it keeps what it builds and what it runs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from meshup.steps.jobs import IMAGE as MESHUP_IMAGE

__all__ = ["MESHUP_IMAGE"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GOLANG = HERE / "golang"
MANIFESTS = HERE / "manifests"


def required(folder: str, module: str) -> str:
    """Give the version of a module that the main module golang/FOLDER requires. Raises LookupError when it does not."""
    text = (GOLANG / folder / "go.mod").read_text("utf-8")
    found = re.search(rf"^(?:require|\t)\s*{re.escape(module)} v(\S+)$", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"golang/{folder}/go.mod does not require {module}")
    return found[1]


KUBERNETES = required("kubernetes", "k8s.io/kubernetes")
ETCD = required("etcd", "go.etcd.io/etcd/server/v3")
COREDNS = required("coredns", "github.com/coredns/coredns")
PROMETHEUS = "0.316.0"
FORTIO = "1.68.1"
"""The last minor version before fortio needs a module that is not served everywhere."""
KWOK = "0.8.0"
GATEWAY_API = "1.6.0"
PAUSE = "1"
DEBIAN = "bookworm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Istio:
    """One Istio release of the lab: its label, the source it is built from, and the Envoy it is paired with.

    Both releases are one source. The older one is that source under an older label, with an older Envoy and Istio's own
    compatibility settings: it differs in these three things and not in Istio's code.
    """

    version: str
    module: str
    envoy: str
    compatibility: str = ""

    @property
    def revision(self) -> str:
        """The revision that this release is installed as."""
        return "-".join(self.version.split(".")[:2])

    @property
    def proxy_image(self) -> str:
        """The image of its sidecars and gateways."""
        return image("istio/proxyv2", self.version)

    @property
    def pilot_image(self) -> str:
        """The image of its control plane."""
        return image("istio/pilot", self.version)


ISTIO_SOURCE = "v0.0.0-20260827124520-eed52ebb66ad"
ISTIO_NEW = Istio(version="1.31.0-dev", module=ISTIO_SOURCE, envoy="1.39.3")
ISTIO_OLD = Istio(version="1.30.0-relabel", module=ISTIO_SOURCE, envoy="1.38.3", compatibility="1.30")
ISTIOS = (ISTIO_NEW, ISTIO_OLD)

HUB = "lab.meshup.dev"
"""A name only: nothing answers there, and nothing is ever pulled."""

NODE = "lab-node"
NETNS = "meshup-lab"
"""The full cluster lives in this network namespace, so that its firewall rules, bridges and routes go with it."""
HOST_LINK, NODE_LINK = "mlab-host", "mlab-node"
HOST_IP, NODE_IP, LINK_PREFIX = "10.243.0.1", "10.243.0.2", 30
POD_CIDR = "10.244.0.0/24"
SERVICE_CIDR = "10.96.0.0/16"
KUBERNETES_SERVICE_IP = "10.96.0.1"
DNS_IP = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"
PROMETHEUS_SERVICE = "monitoring/prometheus:9090"
"""As metrics.service of a runbook names it."""


def cache() -> Path:
    """Give the folder of what is built: MESHUP_LAB_CACHE, or a folder of the user's."""
    return Path(os.environ.get("MESHUP_LAB_CACHE") or "~/.cache/meshup-lab").expanduser()


def binary(piece: str, version: str, name: str | None = None) -> Path:
    """Give the place where `build` leaves the program `name` of `piece` at `version`."""
    return cache() / "bin" / f"{piece}-{version}" / (name or piece)


def kube(name: str) -> Path:
    """Give the place of one of Kubernetes' own programs."""
    return binary("kubernetes", KUBERNETES, name)


def istioctl(release: Istio) -> Path:
    """Give the place of a release's istioctl."""
    return binary("istio", release.version, "istioctl")


def image(name: str, version: str) -> str:
    """Give the name of an image of the lab."""
    return f"{HUB}/{name}:{version}"


COREDNS_IMAGE = image("coredns", COREDNS)
FORTIO_IMAGE = image("fortio", FORTIO)
PAUSE_IMAGE = image("pause", PAUSE)
PROMETHEUS_IMAGE = image("prometheus", PROMETHEUS)


def state() -> Path:
    """Give the folder of the running lab: MESHUP_LAB_STATE, or one of the machine's."""
    return Path(os.environ.get("MESHUP_LAB_STATE") or "/var/lib/meshup-lab")


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one running lab, and what is where in it."""

    state: Path = field(default_factory=state)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def users(self) -> Path:
        """The kubeconfigs of everybody else."""
        return self.state / "users"

    @property
    def logs(self) -> Path:
        """One log per process; pods/ holds those of containers. They stay until the next `up`."""
        return self.state / "logs"

    @property
    def audit_log(self) -> Path:
        """One JSON line per request of users and programs; the cluster's own components are left out."""
        return self.logs / "audit.log"

    @property
    def address(self) -> Path:
        """A file with the API server's address."""
        return self.state / "server"

    @property
    def full(self) -> Path:
        """A file that is there while this lab has, or may have, a network namespace and pods to clean up after."""
        return self.state / "full"

    @property
    def containerd(self) -> Path:
        """The container runtime's folder."""
        return self.state / "containerd"
