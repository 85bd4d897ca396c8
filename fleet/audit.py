"""What the audit log keeps: every change of the inventory and of users, without secrets."""

from typing import Any

from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from fleet.models import DnsRecord, Handset, Line, Server, ServerGroup, Site
from fleet.people import Account, ApiToken

MASK = "********"


def mask(_value: str) -> str:
    """Say that it changed and nothing more: auditlog's own mask shows half of a secret."""
    return MASK


def register() -> None:
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
