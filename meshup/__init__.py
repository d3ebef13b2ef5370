"""meshup: an easy-button runbook that puts a service mesh under services other teams own."""

__version__ = "0.1.0"
