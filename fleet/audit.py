"""What the audit log keeps: every change of the inventory and of users, without secrets.

And every act that no changed row shows: log-ins, imports, exports with passwords. Each entry says
who did it, from where, and with which token or session. Nothing is ever taken out of it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from auditlog.context import auditlog_value
from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.db.models.signals import pre_delete, pre_save
from django.http import HttpRequest

from fleet.models import DnsRecord, Handset, Line, Server, ServerGroup, Site
from fleet.people import Account, ApiToken, SiteLimit

MASK = "********"


_request: ContextVar[HttpRequest | None] = ContextVar("audited_request", default=None)


class Kept(Exception):
    """The audit log is only added to."""


def mask(_value: str) -> str:
    """Say that it changed and nothing more: auditlog's own mask shows half of a secret."""
    return MASK


def register() -> None:
    for signal, receiver, sender in (
        (pre_save, _complete, LogEntry),
        (pre_delete, _keep, LogEntry),
        (user_logged_in, _logged_in, None),
        (user_logged_out, _logged_out, None),
    ):
        signal.connect(receiver, sender, dispatch_uid=f"fleet.audit.{receiver.__name__}")
    for model in (Site, ServerGroup, Server, DnsRecord):
        auditlog.register(model)
    auditlog.register(Handset, exclude_fields=["search_text"])
    auditlog.register(
        Line,
        exclude_fields=["search_text"],
        mask_fields=["auth_password"],
        mask_callable="fleet.audit.mask",
    )
    auditlog.register(Account)
    auditlog.register(SiteLimit)
    auditlog.register(ApiToken, exclude_fields=["digest", "used_at"])
    auditlog.register(
        get_user_model(),
        exclude_fields=["last_login"],
        mask_fields=["password"],
        mask_callable="fleet.audit.mask",
        m2m_fields={"groups"},
    )


def record(thing: Model, changes: dict[str, list[str]], **more: Any) -> None:
    """Write down a change that no saved row shows by itself: [before, after] by what changed."""
    LogEntry.objects.log_create(thing, action=LogEntry.Action.UPDATE, changes=changes, **more)


def record_many(kind: type[Model], said: str, changes: dict[str, list[str]], **more: Any) -> None:
    """Write down one change of many things: `said` stands for them, `more` has the particulars."""
    LogEntry.objects.create(
        content_type=ContentType.objects.get_for_model(kind),
        object_pk="",
        object_repr=said,
        action=LogEntry.Action.UPDATE,
        changes=changes,
        additional_data=more,
    )


@contextmanager
def asking(request: HttpRequest) -> Iterator[None]:
    """What is written down here is done by this request."""
    before = _request.set(request)
    try:
        yield
    finally:
        _request.reset(before)


def with_token(token: ApiToken) -> None:
    """The request is one of this token's: the middleware came before anybody knew."""
    context = auditlog_value.get({})
    context["actor"], context["token"] = token.user, token


def _complete(instance: LogEntry, **_: Any) -> None:
    """Say who it was by their name, which outlives their account, and with what they came."""
    if not instance._state.adding:
        raise Kept("The audit log is only added to.")
    request = _request.get()
    told: dict[str, Any] = {}
    actor = instance.actor
    if request is not None:
        context = auditlog_value.get({})
        actor = actor or context.get("actor")
        told = _way(request, context.get("token"))
    if actor is not None:
        told["by"] = actor.get_username()
    instance.additional_data = {**(instance.additional_data or {}), **told} or None


def _way(request: HttpRequest, token: ApiToken | None) -> dict[str, Any]:
    if token is not None:
        return {"token": token.name, "token_id": token.pk}
    key = getattr(getattr(request, "session", None), "session_key", None)
    # Enough to tell one session from another, and of no use to anybody who reads it.
    return {"session": hashlib.sha256(key.encode()).hexdigest()[:8]} if key else {}


def _keep(**_: Any) -> None:
    raise Kept("The audit log is only added to.")


def _logged_in(user: Any, **_: Any) -> None:
    account = getattr(user, "account", None)
    how = f"logged in by {account.way}" if account and account.way else "logged in"
    record(user, {"session": ["", how]}, actor=user)


def _logged_out(user: Any, **_: Any) -> None:
    if user is not None:
        record(user, {"session": ["logged in", "logged out"]}, actor=user)
