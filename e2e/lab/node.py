"""What makes the machine a node: the kubelet and kube-proxy, on top of the container runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import config
from .controlplane import ControlPlane
from .kubectl import asked
from .runtime import Containerd

LABELS = "topology.kubernetes.io/region=lab,topology.kubernetes.io/zone=lab-a"


class Node:
    """The kubelet and kube-proxy, in the lab's network namespace."""

    def __init__(self, plane: ControlPlane, runtime: Containerd) -> None:
        self.plane, self.runtime, self.roster, self.home = plane, runtime, plane.roster, plane.home

    def issue_certificates(self) -> None:
        """Make the certificates of kubelet and kube-proxy, which takes time that something else may use too."""
        self.plane.ca.issue("kubelet", config.NODE, hosts=(config.NODE, config.NODE_IP))
        self.kubelet_user = self.plane.kubeconfig(f"system:node:{config.NODE}", ("system:nodes",))
        self.proxy_user = self.plane.kubeconfig("system:kube-proxy")

    def start(self) -> None:
        """Start both. issue_certificates comes first."""
        folder = self.home.state / "kubelet"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text(f"nameserver {config.DNS_IP}\n", "utf-8")
        settings = folder / "config.json"
        settings.write_text(json.dumps(self._kubelet_settings(folder)), "utf-8")
        command = [
            str(config.kube("kubelet")),
            f"--config={settings}",
            f"--kubeconfig={self.kubelet_user}",
            f"--root-dir={folder}",
            f"--node-ip={config.NODE_IP}",
            f"--hostname-override={config.NODE}",
            f"--node-labels={LABELS}",
        ]
        self.roster.start("kubelet", command, config.NETNS)
        proxy = self.home.state / "kube-proxy.json"
        proxy.write_text(json.dumps(kube_proxy_settings(self.proxy_user)), "utf-8")
        self.roster.start("kube-proxy", [config.kube("kube-proxy"), f"--config={proxy}"], config.NETNS)

    def wait_ready(self) -> None:
        """Wait until the API server calls the node ready."""
        condition = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        ready = ("get", "node", config.NODE, "-o", condition)
        self.roster.wait("the node is ready", lambda: asked(self.home, *ready) == "True")

    def _kubelet_settings(self, folder: Path) -> dict[str, Any]:
        keys = self.home.pki
        client_ca = {"clientCAFile": str(self.plane.ca.cert)}
        low = {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"}
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": client_ca},
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(keys / "kubelet.crt"),
            "tlsPrivateKeyFile": str(keys / "kubelet.key"),
            "containerRuntimeEndpoint": f"unix://{self.runtime.socket}",
            "clusterDNS": [config.DNS_IP],
            "clusterDomain": config.CLUSTER_DOMAIN,
            "resolvConf": str(folder / "resolv.conf"),
            "podLogsDir": str(self.home.logs / "pods"),
            "volumePluginDir": str(folder / "volume-plugins"),
            # No systemd here, and maybe version 1 cgroups and a full disk: none of it is a reason not to run pods.
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "evictionHard": {**low, "nodefs.inodesFree": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageMaximumGCAge": "0s",
            "maxPods": 200,
            "syncFrequency": "10s",
        }


def kube_proxy_settings(kubeconfig: Path) -> dict[str, Any]:
    """Give kube-proxy's configuration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": config.POD_CIDR,
        "hostnameOverride": config.NODE,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"minSyncPeriod": "100ms"},
        "metricsBindAddress": "127.0.0.1:10249",
    }
