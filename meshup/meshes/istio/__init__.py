"""The Istio sidecar mesh: revisions by label on the pod template, evidence from Envoy's own counters."""
