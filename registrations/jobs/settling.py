"""Ending what waits in a job although no agent will answer it any more."""

from datetime import datetime

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from fleet.models import Line
from registrations.models import JobResult, State

WISH = "failback"
"""What `Registration.wish` says while a handset is asked home."""

Result = JobResult.Result


def settle(now: datetime | None = None) -> int:
    """End the pending results that no agent will answer any more, and return how many.

    A wish ends without an answer when it is cancelled, when the handset is deleted or no longer
    registered by Rollcall, and when its line or group was changed meanwhile. Who is home by then
    counts as moved: an agent already at it finishes what it does.
    """
    now = now or timezone.now()
    pending = JobResult.objects.filter(result=Result.PENDING)
    if not pending.exists():
        return 0
    unwished = ~Q(registration__wish=WISH) & Q(registration__lease_token__isnull=True)
    gone = Q(registration__isnull=True)
    switched = ~Q(registration__line__supervision=Line.Supervision.REGISTER)
    home = Q(registration__state=State.PRIMARY, registration__since__gte=F("job__created_at"))
    rules = (
        (gone, Result.LEFT_OUT, "It was deleted meanwhile."),
        (~gone & switched, Result.LEFT_OUT, "Its supervision was changed meanwhile."),
        (~gone & unwished & home, Result.MOVED, "It came home meanwhile."),
        (
            ~gone & unwished & Q(job__cancelled_at__isnull=False),
            Result.CANCELLED,
            "Cancelled before its turn.",
        ),
        (~gone & unwished, Result.LEFT_OUT, "Its line or group was changed meanwhile."),
    )
    with transaction.atomic():
        return sum(
            pending.filter(rule).update(result=result, reason=reason, finished_at=now)
            for rule, result, reason in rules
        )
