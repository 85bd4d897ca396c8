"""What fleet announces. Receivers run in the sender's transaction."""

from django.dispatch import Signal

fleet_changed = Signal()
"""Lines were made or changed, or what they depend on was: sent with `line_ids: list[int]`."""

about_to_delete = Signal()
"""Sent with `thing`, of a kind that is also the sender: a receiver answers a sentence why not."""

access_changed = Signal()
"""Somebody may see less than before, or nothing: sent with `user_id: int`."""
