"""The declared checks, in the order they are told; ids never change meaning."""

from __future__ import annotations

from meshup.gates.preflight import (
    cluster_checks,
    port_checks,
    quota,
    release_checks,
    rollout_checks,
    webhooks,
    workload_checks,
)
from meshup.gates.preflight.facts import Check

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")

CHECKS: tuple[Check, ...] = (
    Check(
        id="kubernetes-version",
        title="the server's version is one the mesh supports",
        fix="upgrade the cluster, or pin another release",
        run=cluster_checks.version,
    ),
    Check(
        id="release-skew",
        title="no proxy is further from a control plane than the mesh supports",
        fix="upgrade in the steps that are named, and never back by a runbook: meshup rollback",
        run=release_checks.skew,
        reads=(*WORKLOADS, "Pod", "Namespace", "MutatingWebhookConfiguration", "MeshPin"),
    ),
    Check(
        id="release-allowed",
        title="the release may be gone to",
        fix="meshup releases shows what may; another release, or a decision about this one",
        run=release_checks.allowed,
        reads=(*WORKLOADS, "MeshRelease"),
    ),
    Check(
        id="definitions-read",
        title="the release reads every shared definition that objects are made of",
        fix="install a bundle of Gateway API within the bounds that are named, before the release",
        run=release_checks.bundles,
        reads=("CustomResourceDefinition",),
    ),
    Check(
        id="api-versions",
        title="the server serves every kind the plan needs",
        fix="install the definitions that are named",
        run=cluster_checks.api,
    ),
    Check(
        id="permissions",
        title="this identity may do what the plan needs",
        fix="ask for the rights that are named; the plan lists them all",
        run=cluster_checks.rights,
    ),
    Check(
        id="cluster-dns",
        title="the cluster has a DNS service that answers",
        fix="install cluster DNS",
        run=cluster_checks.dns,
        reads=("Service", "Pod"),
    ),
    Check(
        id="other-meshes",
        title="no other mesh is installed",
        fix="remove the other mesh first, workloads before its control plane",
        run=cluster_checks.meshes,
        reads=("CustomResourceDefinition", "MutatingWebhookConfiguration"),
    ),
    Check(
        id="injector-reachable",
        title="every webhook that can refuse the rollout's pods has somebody ready behind it",
        fix="bring its server back, or remove the webhook",
        run=webhooks.reachable,
        reads=("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "Namespace", "Service", "Pod"),
    ),
    Check(
        id="quota-fits",
        title="quotas and limit ranges hold a sidecar for every pod the autoscaler may make",
        fix="raise the quota or limit that is named, or lower mesh.values.global.proxy.resources",
        run=quota.fits,
        reads=(*WORKLOADS, "ResourceQuota", "LimitRange", "HorizontalPodAutoscaler", "Pod"),
    ),
    Check(
        id="pod-security",
        title="Pod Security admits pods with a sidecar",
        fix="use the CNI plugin (pilot.cni.enabled); never weaken the label",
        run=workload_checks.pod_security,
        reads=(*WORKLOADS, "Namespace"),
    ),
    Check(
        id="server-first-ports",
        title="ports on which the server speaks first are declared",
        fix="appProtocol: tcp on the Service port",
        run=port_checks.server_first,
        reads=(*WORKLOADS, "Service"),
    ),
    Check(
        id="guessed-ports",
        title="every port declares its protocol",
        fix="appProtocol: http, grpc or tcp on the Service port",
        run=port_checks.guessed,
        blocks=False,
        reads=(*WORKLOADS, "Service"),
    ),
    Check(
        id="budget-against-strategy",
        title="no rolling update takes more pods away than its disruption budget allows",
        fix="maxUnavailable: 0 with maxSurge: 1",
        run=rollout_checks.budgets,
        reads=(*WORKLOADS, "PodDisruptionBudget"),
    ),
    Check(
        id="definition-owners",
        title="shared definitions have one owner",
        fix="let one tool own them, and remove the other's label",
        run=cluster_checks.definitions,
        reads=("CustomResourceDefinition",),
    ),
    Check(
        id="foreign-controllers",
        title="no workload belongs to another controller",
        fix="change it at its controller, or take it out of its wave",
        run=workload_checks.controllers,
        reads=WORKLOADS,
    ),
    Check(
        id="workloads-there",
        title="every workload of a wave is in the cluster",
        fix="correct services in the runbook",
        run=workload_checks.absent,
        reads=WORKLOADS,
    ),
    Check(
        id="restart-is-outage",
        title="every workload survives its restart",
        fix="two replicas, or maxSurge: 1",
        run=rollout_checks.restart_is_outage,
        blocks=False,
        reads=WORKLOADS,
    ),
    Check(
        id="readiness-probes",
        title="every workload says when it is ready",
        fix="add a readinessProbe",
        run=rollout_checks.probes,
        blocks=False,
        reads=WORKLOADS,
    ),
    Check(
        id="reserved-user-and-ports",
        title="no workload uses the proxy's user or ports",
        fix="another runAsUser, another containerPort",
        run=workload_checks.reserved,
        reads=(*WORKLOADS, "Service"),
    ),
    Check(
        id="jobs-can-end",
        title="Jobs can end beside a sidecar",
        fix="upgrade the kubelets that are named, or leave the CronJob out",
        run=workload_checks.jobs,
        reads=("CronJob", "Node"),
    ),
)
