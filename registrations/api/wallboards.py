"""The API of the screens that may watch without a log-in."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api_lists import NoFilters, Pages
from fleet.bodies import JSONParser, KnownFields
from fleet.roles import Role
from registrations import wallboards
from registrations.models import WallboardToken


class ScreenRow(KnownFields, serializers.ModelSerializer[WallboardToken]):
    """A screen, and what it may show: all of the fleet where nothing is named."""

    class Meta:
        model = WallboardToken
        fields = ("id", "name", "groups", "sites", "created_at", "created_by", "used_at")
        read_only_fields = ("created_at", "created_by", "used_at")


class NewScreen(ScreenRow):
    """A new one, with its key: told this once. Its page is `/wallboard/KEY/`."""

    key = serializers.CharField(read_only=True)

    class Meta(ScreenRow.Meta):
        fields = (*ScreenRow.Meta.fields, "key")


class ScreenViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[WallboardToken]
):
    """Screens with a key of their own."""

    required_roles = {method: Role.ADMIN for method in ("GET", "POST", "DELETE")}
    queryset = WallboardToken.objects.none()
    serializer_class = ScreenRow
    pagination_class = Pages
    filter_backends = (NoFilters,)
    parser_classes = (JSONParser,)
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[WallboardToken]:
        return WallboardToken.objects.prefetch_related("groups", "sites")

    @extend_schema(responses={201: NewScreen})
    def create(self, request: Request) -> Response:
        """Let a screen watch; its key is told in this answer and never again."""
        asked = ScreenRow(data=request.data)
        asked.is_valid(raise_exception=True)
        given: dict[str, Any] = {"groups": [], "sites": []} | asked.validated_data
        key = wallboards.make(**given, by=request.user.get_username())
        made = WallboardToken.objects.get(name=given["name"])
        return Response(ScreenRow(made).data | {"key": key}, status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: str) -> Response:
        """End it: the screen goes dark at once."""
        wallboards.revoke(self.get_object().pk, by=request.user.get_username())
        return Response(status=status.HTTP_204_NO_CONTENT)
