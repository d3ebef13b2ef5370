"""A Prometheus inside the embedded cluster: a declared subset of PromQL over counters that were scraped on its clock."""
