"""One file per kind of step: a pure function from runbook and snapshot to changes, inverses derived by the planner."""
