"""A cluster of a few pods, one Deployment for each app of theirs."""

from __future__ import annotations


class FewPods:
    """What gates ask of a cluster beside counters. pods: each with the label app."""

    def __init__(self, pods):
        self.pods = pods

    def list(self, api_version, kind, *, namespace="", labels=""):
        if kind == "Pod":
            return iter([each for each in self.pods if not namespace or each["metadata"]["namespace"] == namespace])
        names = sorted({(each["metadata"]["namespace"], each["metadata"]["labels"]["app"]) for each in self.pods})
        return iter([self._workload(*each) for each in names])

    def find(self, ref):
        return self._workload(ref.namespace, ref.name) if ref.kind == "Deployment" else None

    def _workload(self, namespace, name):
        labels = {"app": name}
        return {
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}},
        }

    def gather(self, calls):
        return [each() for each in calls]
