"""Rollcall looked at from outside: what Prometheus reads, and the page that says the same."""
