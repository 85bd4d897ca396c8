"""What a restore means for whoever was registered: nobody knows where they are until heard of.

A backup may be old. Since then handsets moved, bindings ran out, and the Call-IDs in its rows went
on to higher CSeq numbers, which a registrar holds against whoever uses a lower one. So each line
begins as a handset does that is switched on: it asks who is bound, and registers anew. Its history
says that nothing is known from the backup on.
"""

from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.apps import apps
from django.db.models import F
from django.utils import timezone

from fleet.models import Line
from registrations import services, store
from registrations.models import (
    AlertRule,
    Delivery,
    Job,
    JobResult,
    Registration,
    ServerHealth,
    State,
)
from registrations.report import Moved

REASON = "Restored from a backup made then: what has happened since is not known."
MESSAGE = "It had not been sent when the installation was restored from a backup."
ORDER = "It was not carried out when the installation was restored from a backup."


def forget_leases() -> None:
    """Nobody is at work on anything here: what was under a lease comes back when that is over."""
    for model in apps.get_app_config("registrations").get_models():
        if any(field.name == "lease_token" for field in model._meta.concrete_fields):
            model._default_manager.exclude(lease_token=None).update(lease_token=None)


def forget_places(made_at: float) -> None:
    """Let every line and server be unknown since the backup, and look at each anew."""
    forget_leases()
    at = datetime.fromtimestamp(made_at, UTC)
    _take_orders_back()
    supervised = Registration.objects.exclude(state=State.DISABLED)
    observed = supervised.filter(line__supervision=Line.Supervision.OBSERVE)
    _record_gaps(observed, made_at)
    observed.update(**services.unseen(at), server=None, expires_at=None, due_at=None)
    on = supervised.exclude(line__supervision=Line.Supervision.OBSERVE)
    known = on.exclude(state=State.REGISTERING)
    _record_gaps(known, made_at)
    standing = {
        "state": State.UNKNOWN.value,
        "server_id": None,
        "since": made_at,
        "reason": REASON,
        "cause": "gap",
    }
    anew: dict[str, Any] = {
        "server": None,
        "assumed_on": None,
        "expires_at": None,
        "next_attempt_at": None,
        "attempt": 0,
        "cseq_reserve": 0,
        "stuck_since": None,
        "restarts": 0,
        "due_at": at,
        "wish": "",
        "wish_by": "",
        "wish_request": "",
        "wish_version": F("wish_version") + 1,
    }
    on.filter(state=State.REGISTERING).update(**anew, snapshot={})
    # Due since the backup, a row is shown as unknown since then until somebody takes it up.
    known.update(
        **anew, snapshot={"standing": standing}, state=State.REGISTERING, since=at, reason=REASON
    )
    ServerHealth.objects.filter(due_at__gt=at).update(due_at=at)


def let_wait() -> int:
    """Switch every line off until somebody says go, as after a first import; return how many.

    Those that are only watched too: a copy is not to ask the servers of a fleet that is watched.
    Nor does it tell anybody of incidents: its rules are off.
    """
    AlertRule.objects.update(is_on=False)
    on = Line.objects.exclude(supervision=Line.Supervision.OFF)
    ids = list(on.order_by("pk").values_list("pk", flat=True))
    on.update(waits_for=F("supervision"), supervision=Line.Supervision.OFF, waits=True)
    rest = iter(ids)
    while batch := list(islice(rest, store.BATCH)):
        services.sync_registrations(batch)
    return len(ids)


def _record_gaps(known: Any, made_at: float) -> None:
    rows = known.order_by("pk").values_list("pk", "state", "server_id")
    found = iter(list(rows))
    while batch := list(islice(found, store.BATCH)):
        store.record(
            [
                store.Change(
                    pk,
                    Moved(
                        at=made_at,
                        from_state=state,
                        from_server_id=server_id,
                        to_state=State.UNKNOWN,
                        to_server_id=None,
                        cause="gap",
                        code=None,
                        reason=REASON,
                        seconds=None,
                    ),
                )
                for pk, state, server_id in batch
            ]
        )


def _take_orders_back() -> None:
    """An order of then is not one of now, nor is what was to be told then told now."""
    now = timezone.now()
    given_up = {"state": Delivery.State.GIVEN_UP, "next_try_at": None, "finished_at": now}
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING)
    waiting.update(**given_up, last_answer=MESSAGE)
    pending = JobResult.objects.filter(result=JobResult.Result.PENDING)
    pending.update(result=JobResult.Result.CANCELLED, reason=ORDER, finished_at=now)
    Job.objects.filter(finished_at=None).update(
        cancelled_at=now, cancelled_by="restore", finished_at=now
    )
