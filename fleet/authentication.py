"""Who asks: the API with a token, a page with a session."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from fleet import audit, tokens


class PasswordBackend(ModelBackend):
    """Users by name and password; a session's user comes with their account, in one query."""

    def get_user(self, user_id: int) -> Any:
        users = get_user_model()._default_manager.select_related("account")
        user = users.filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None


class TokenAuthentication(authentication.TokenAuthentication):
    """The token's user is also whom the audit log names: its middleware came before any token."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found = super().authenticate(request)
        if found is not None:
            audit.with_token(found[1])
        return found

    def authenticate_credentials(self, key: str) -> tuple[Any, Any]:
        token = tokens.find(key)
        if token is None:
            raise exceptions.AuthenticationFailed("This token opens nothing, or not any more.")
        return token.user, token
