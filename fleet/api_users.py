"""The API of users, for admins: who may come in, and what they may."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model, password_validation
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import queries, sessions, users
from fleet.api import Conflict
from fleet.api_lists import Pages
from fleet.api_tokens import RoleField
from fleet.bodies import JSONParser, KnownFields, takes_no_fields
from fleet.conditional import Versioned, VersionField
from fleet.filters import LARGEST_ID
from fleet.models import Site
from fleet.roles import Role


class _HeldRole(RoleField):
    """That of who is out too."""

    def get_attribute(self, instance: Any) -> Role | None:
        return users.role_held(instance)


class _Sites(serializers.ListField):
    """The ids of the sites they are limited to."""

    child = serializers.IntegerField(min_value=1, max_value=LARGEST_ID)

    def get_attribute(self, instance: Any) -> list[int]:
        return sorted(limit.site_id for limit in instance.site_limits.all())


class UserRow(KnownFields, serializers.Serializer[Any]):
    """A user. Their tokens are under `tokens/?user=NAME`."""

    id = serializers.IntegerField(read_only=True)
    version = VersionField()
    name = serializers.CharField(
        source="username", max_length=150, help_text="Chosen once; it stays."
    )
    role = _HeldRole(allow_null=True, help_text="Null: none yet, so nothing is theirs to see.")
    is_active = serializers.BooleanField(
        required=False, help_text="False: no session and no token of theirs opens anything."
    )
    sites = _Sites(
        required=False, help_text="Ids of the sites they see alone; empty: all. Admins see all."
    )
    password = serializers.CharField(
        write_only=True,
        trim_whitespace=False,
        help_text="To begin with: they have to choose another at their next log-in.",
    )
    must_change_password = serializers.SerializerMethodField()
    logs_in_by = serializers.SerializerMethodField(
        help_text="`password`, `the directory` or `single sign-on`: there role and password of the "
        "last two are kept."
    )
    last_login = serializers.DateTimeField(read_only=True, allow_null=True)

    def get_must_change_password(self, user: Any) -> bool:
        account = getattr(user, "account", None)
        return account is not None and account.must_change_password

    def get_logs_in_by(self, user: Any) -> str:
        account = getattr(user, "account", None)
        return (account.way if account else "") or "password"

    def validate_name(self, value: str) -> str:
        if self.instance is None:
            return _read(lambda: users.new_name(value))
        if value != self.instance.get_username():
            raise serializers.ValidationError("A user keeps their name; make a new one.")
        return value

    def validate_role(self, value: Role | None) -> Role:
        if value is None:
            raise serializers.ValidationError("Name a role; is_active lets them out.")
        return value

    def validate_sites(self, value: list[int]) -> list[int]:
        there = Site.objects.filter(pk__in=value).values_list("pk", flat=True)
        if missing := sorted(set(value) - set(there)):
            raise serializers.ValidationError(f"There is no site {missing[0]}.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "password" in attrs:
            user = self.instance or get_user_model()(username=attrs["username"])
            try:
                password_validation.validate_password(attrs["password"], user)
            except ValidationError as wrong:
                raise serializers.ValidationError({"password": wrong.messages}) from wrong
        return attrs


class UserViewSet(
    Versioned, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Any]
):
    """Users are made, changed, and let out; they are not deleted, so that the audit log tells."""

    required_roles = dict.fromkeys(("GET", "POST", "PATCH"), Role.ADMIN)
    queryset = get_user_model()._default_manager.none()
    serializer_class = UserRow
    filterset_class = queries.UserFilter
    pagination_class = Pages
    parser_classes = (JSONParser,)
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Any]:
        # Which permissions there are is a part of the version.
        return users.every().prefetch_related("user_permissions", "site_limits")

    def get_object(self) -> Any:
        if self.request.method == "PATCH":
            # In one order everywhere, before the one that is meant.
            users.hold_admins()
        return super().get_object()

    @extend_schema(responses={201: UserRow})
    def create(self, request: Request) -> Response:
        """Make a user with a role and a password to begin with."""
        given = self._given(request, None)
        name, role, password = given["username"], given["role"], given["password"]
        sites = given.get("sites", ())
        made = _allowed(lambda: users.invite(name, role, password, by=self._by, sites=sites))
        if not given.get("is_active", True):
            _allowed(lambda: users.set_active(made, False, by=self._by))
        return self._answer(made.pk, status.HTTP_201_CREATED)

    @extend_schema(request=UserRow)
    @transaction.atomic
    def partial_update(self, request: Request, pk: str) -> Response:
        """Give another role, other sites or a password, let out, or in again. Somebody stays
        admin."""
        user = self.get_object()
        given, by = self._given(request, user), self._by
        if given.get("role", users.role_held(user)) != users.role_held(user):
            _allowed(lambda: users.set_role(user, given["role"], by=by))
        if "sites" in given:
            _allowed(lambda: users.set_sites(user, given["sites"], by=by))
        if "password" in given:
            _allowed(lambda: users.give_password(user, given["password"], by=by))
        if given.get("is_active", user.is_active) != user.is_active:
            _allowed(lambda: users.set_active(user, given["is_active"], by=by))
        return self._answer(user.pk, status.HTTP_200_OK)

    @extend_schema(request=None, responses=UserRow)
    @action(detail=True, methods=["post"], url_path="end-sessions")
    @takes_no_fields
    def end_sessions(self, request: Request, pk: str) -> Response:
        """Log them out in every browser; their tokens go on."""
        user = self.get_object()
        sessions.end_all(user, by=self._by)
        return self._answer(user.pk, status.HTTP_200_OK)

    @property
    def _by(self) -> str:
        name: str = self.request.user.get_username()
        return name

    def _given(self, request: Request, user: Any) -> dict[str, Any]:
        read = self.get_serializer(user, data=request.data, partial=user is not None)
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)

    def _answer(self, pk: int, code: int) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=pk)).data, status=code)


def _read(work: Callable[[], str]) -> str:
    try:
        return work()
    except ValidationError as wrong:
        raise serializers.ValidationError(wrong.messages) from wrong


def _allowed(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except users.Refused as refused:
        raise Conflict(str(refused)) from refused
