"""The API of API tokens: one's own, and for an admin everybody's."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import queries, tokens
from fleet.api_lists import Pages
from fleet.bodies import JSONParser, KnownFields
from fleet.people import ApiToken
from fleet.roles import Role


class RoleField(serializers.ChoiceField):
    """A role by its word: `viewer`."""

    def __init__(self, **more: Any) -> None:
        super().__init__([role.group_name for role in Role], **more)

    def to_representation(self, value: Any) -> str:
        return Role(value).group_name

    def to_internal_value(self, data: Any) -> Role:
        return Role[str(super().to_internal_value(data)).upper()]


class TokenSerializer(KnownFields, serializers.ModelSerializer[ApiToken]):
    user = serializers.CharField(source="user.username", read_only=True)
    role = RoleField(help_text="The most it may; never more than its user.")

    class Meta:
        model = ApiToken
        fields = ("id", "user", "name", "role", "created_at", "created_by", "expires_at", "used_at")
        read_only_fields = ("created_at", "created_by", "used_at")


class NewTokenSerializer(TokenSerializer):
    key = serializers.CharField(read_only=True, help_text="Told this once.")

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "key")


class TokenViewSet(
    mixins.ListModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[ApiToken]
):
    """Tokens are made, read and revoked, not changed."""

    queryset = ApiToken.objects.none()
    serializer_class = TokenSerializer
    filterset_class = queries.TokenFilter
    pagination_class = Pages
    parser_classes = (JSONParser,)
    lookup_value_regex = r"\d+"
    required_roles = dict.fromkeys(("GET", "POST", "DELETE"), Role.VIEWER)
    narrowed = ("GET", "POST", "DELETE")

    def get_queryset(self) -> QuerySet[ApiToken]:
        return tokens.of(self.request.user)

    @extend_schema(request=TokenSerializer, responses={201: NewTokenSerializer})
    def create(self, request: Request) -> Response:
        """Make a token of one's own. The answer alone has its key."""
        given = TokenSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        read = given.validated_data
        by = request.user.get_username()
        try:
            made = tokens.make(
                request.user,
                read["name"],
                read["role"],
                read.get("expires_at"),
                by=by,
                within=request.auth,
            )
        except tokens.Refused as refused:
            raise serializers.ValidationError({refused.field: [str(refused)]}) from refused
        return Response(TokenSerializer(made.token).data | {"key": made.key}, status=201)

    def perform_destroy(self, instance: ApiToken) -> None:
        if not tokens.may_revoke(instance, self.request.auth):
            raise PermissionDenied("A token ends itself and those that may no more than it.")
        tokens.revoke(instance, by=self.request.user.get_username())
