"""People's YAML becomes a typed runbook, or every problem at once with its line; pydantic lives here alone."""
