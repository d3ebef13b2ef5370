"""A Kubernetes API in memory with a mesh in it, written as the server side of the transport seam."""
