"""Who asks the API with a token."""

from typing import Any

from auditlog.context import auditlog_value
from rest_framework import authentication
from rest_framework.request import Request


class TokenAuthentication(authentication.TokenAuthentication):
    """The token's user is also whom the audit log names: its middleware came before any token."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found = super().authenticate(request)
        if found is not None:
            auditlog_value.get({})["actor"] = found[0]
        return found
