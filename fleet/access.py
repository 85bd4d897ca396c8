"""Notices whatever takes something away from a user, and announces it."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models.signals import m2m_changed, post_delete, post_save

from fleet.people import ApiToken, SiteLimit
from fleet.signals import access_changed


def watch() -> None:
    """Listen to users, their roles and their tokens."""
    user = get_user_model()
    for signal, receiver, sender in (
        (post_save, _user_saved, user),
        (post_delete, _user_deleted, user),
        (m2m_changed, _roles_changed, user.groups.through),
        (post_delete, _token_ended, ApiToken),
        (post_save, _limit_changed, SiteLimit),
        (post_delete, _limit_changed, SiteLimit),
    ):
        signal.connect(receiver, sender, dispatch_uid=f"fleet.access.{receiver.__name__}")


def _user_saved(
    instance: Any, created: bool, update_fields: frozenset[str] | None = None, **_: Any
) -> None:
    # A log-in saves its time and nothing else.
    if not created and update_fields != frozenset({"last_login"}):
        _announce(instance.pk)


def _user_deleted(instance: Any, **_: Any) -> None:
    _announce(instance.pk)


def _roles_changed(
    instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **_: Any
) -> None:
    if action.startswith("post_"):
        for user_id in (pk_set or ()) if reverse else (instance.pk,):
            _announce(user_id)


def _token_ended(instance: ApiToken, **_: Any) -> None:
    _announce(instance.user_id)


def _limit_changed(instance: SiteLimit, **_: Any) -> None:
    _announce(instance.user_id)


def _announce(user_id: int) -> None:
    access_changed.send(sender=None, user_id=user_id)
