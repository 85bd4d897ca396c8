"""Incidents kept and told: looking for them, the rules' messages, the queue and its channels."""
