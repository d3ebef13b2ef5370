"""Frozen values that every layer shares: standard library only, no clock, no cluster, no effects."""
