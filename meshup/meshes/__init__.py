"""One file or package per mesh; a driver knows labels, manifests and counters, and never touches the cluster."""
