"""Log-in by the directory's password, for whoever has none here."""

from typing import Any

import structlog
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from fleet import directory, users
from fleet.authentication import PasswordBackend
from fleet.people import DIRECTORY

log = structlog.get_logger(__name__)


class DirectoryBackend(PasswordBackend):
    """Asked after `PasswordBackend`, so that local users come in whatever the directory does."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> Any:
        """The user of that name and password there; a local user's name is never asked for."""
        if not username or not password:
            return None
        if not _is_a_name(username) or users.is_local(username):
            return None
        try:
            person = directory.find(username, password)
            return users.come_in(DIRECTORY, *person) if person else None
        except directory.Away as away:
            log.warning("the directory cannot be asked: only local users come in", why=str(away))
        except users.Refused as refused:
            log.info("log-in by the directory refused", user=username, why=str(refused))
            if request is not None:
                messages.error(request, str(refused))
        return None


def _is_a_name(typed: str) -> bool:
    try:
        get_user_model()._meta.get_field("username").run_validators(typed)
    except ValidationError:
        return False
    # The one way in which it is counted towards a lock.
    return typed == typed.lower()
