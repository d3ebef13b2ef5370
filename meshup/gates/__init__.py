"""One file per gate: observe reads the cluster, judge only thinks; unknown never advances."""
