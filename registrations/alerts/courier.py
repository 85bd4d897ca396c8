"""Who carries the messages: a thread for each channel that has something to send, and no more.

No agent waits for a mail server: a channel that hangs holds up its own thread alone.
"""

import logging
import threading

from django.db import OperationalError, connections
from django.utils import timezone

from registrations.alerts import channels, queue

logger = logging.getLogger(__name__)

BROKE = "Rollcall itself failed while it sent this; its log says how."
"""What is noted of a message at which the thread dies; the next tick begins another one."""

_busy: set[int] = set()
_lock = threading.Lock()


def rouse() -> None:
    """Begin to send what is due, and return at once."""
    for channel_id in queue.due_channels(timezone.now()):
        with _lock:
            if channel_id in _busy:
                continue
            _busy.add(channel_id)
        name = f"courier-{channel_id}"
        threading.Thread(target=_carry, args=(channel_id,), name=name, daemon=True).start()


def _carry(channel_id: int) -> None:
    try:
        while carry_once(channel_id):
            pass
    except OperationalError as error:
        # Leases run out, and the next tick begins anew.
        logger.warning("Messages wait for the database: %s", error)
    finally:
        connections.close_all()
        with _lock:
            _busy.discard(channel_id)


def carry_once(channel_id: int) -> int:
    """Send what is due of one channel, in this thread; return how many attempts that were."""
    mine = queue.claim(channel_id, timezone.now())
    for delivery in mine:
        failed: channels.NotSent | None = channels.NotSent(BROKE)
        try:
            queue.attempt(delivery)
            failed = None
        except channels.NotSent as error:
            failed = error
        finally:
            queue.note(delivery, failed, timezone.now())
    return len(mine)
