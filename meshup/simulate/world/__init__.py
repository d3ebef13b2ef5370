"""What runs in the simulated cluster: controllers on the clock, nodes, a mesh, and traffic between pods."""
