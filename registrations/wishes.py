"""What an operator may wish of one registration: look again, or bind although it is held back.

A wish is set beside what workers write; the worker that saves sees it and leaves the row due at
once.
"""

from auditlog.models import LogEntry
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.db.models import F

from fleet import request_id
from fleet.models import Line
from registrations import jobs, store
from registrations.models import Job, Registration, State

User = AbstractBaseUser | AnonymousUser

RESUME, OVERRIDE = "resume", "override"
"""What `Registration.wish` says meanwhile."""

RESUMABLE = (State.REGISTERING, State.UNREGISTERED, State.REJECTED, State.HELD)
"""States in which a line waits for something that an operator may know to be over."""

WORDS = {
    Job.Kind.FAILBACK: "Bring home",
    Job.Kind.DRAIN: "Move away",
    Job.Kind.ROLLBACK: "Move back",
    Job.Kind.DRILL: "Move away for a drill",
    RESUME: "Look again now",
    OVERRIDE: "Bind although somebody else is bound",
}


class WishRefused(Exception):
    """It cannot be wished now; the text is a sentence that says why."""


class WrongName(ValueError):
    """Whoever overrides must name the extension; the text is a sentence."""


@transaction.atomic
def resume(registration_id: int, user: User) -> None:
    """Forget back-off and refusals of this line and try again now.

    Raises Registration.DoesNotExist, WishRefused.
    """
    row = _locked(registration_id)
    if row.state not in RESUMABLE:
        where = f"It is registered with {row.server}" if row.server else "It is on a server"
        raise WishRefused(f"{where}: there is nothing to resume.")
    if row.wish in jobs.WISHES:
        raise WishRefused("A job is moving it already, which tries again too.")
    if row.wish != OVERRIDE:
        _wish(row, RESUME, user)


@transaction.atomic
def override(registration_id: int, named: str, user: User) -> None:
    """Bind this line although somebody else is bound to its address; goes into the audit log.

    `named` is the line's extension, typed by whoever takes the address over.
    Raises Registration.DoesNotExist, WrongName, WishRefused.
    """
    row = _locked(registration_id)
    if row.state != State.HELD:
        raise WishRefused("Nobody holds it back: there is nothing to override.")
    if named.strip() != row.line.extension:
        raise WrongName(f"Type the extension, {row.line.extension}, to override it.")
    _wish(row, OVERRIDE, user)
    LogEntry.objects.log_create(
        row.line,
        action=LogEntry.Action.UPDATE,
        changes={"override": [row.reason, "Bind although somebody else is bound."]},
        actor=user,
    )


def _locked(registration_id: int) -> Registration:
    rows = Registration.objects.select_related("line", "group", "server").defer(
        "snapshot", "line__auth_password"
    )
    row = rows.select_for_update(of=("self",)).get(pk=registration_id)
    if row.line.supervision != Line.Supervision.REGISTER or row.state == State.DISABLED:
        raise WishRefused("Its supervision is off.")
    return row


def _wish(row: Registration, wish: str, user: User) -> None:
    Registration.objects.filter(pk=row.pk).update(
        wish=wish,
        wish_by=user.get_username(),
        wish_request=request_id.current(),
        wish_version=F("wish_version") + 1,
    )
    store.spread([row.pk], row.group.max_registrations_per_second)
