"""The door to Kubernetes: few verbs over plain objects, one wrapper that decides what is sent again, nothing typed."""
