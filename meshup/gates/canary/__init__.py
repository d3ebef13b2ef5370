"""Two revisions of a service compared while both serve: samples in, one finding per metric and view out, nothing else."""
