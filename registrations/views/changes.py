"""What pages show beside their subject: its latest changes."""

from typing import Any

from registrations import queries

RECENT = 12
"""How many changes a page shows beside its subject; the history page has them all."""


def recent(**filters: Any) -> list[dict[str, Any]]:
    """The latest changes, newest first."""
    found = queries.transitions().filter(**filters)[:RECENT]
    return [queries.transition_row(change) for change in found]
