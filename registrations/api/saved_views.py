"""The API of saved views: named filters, orders and columns of the list of handsets."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api_lists import NoFilters, Pages
from fleet.bodies import JSONParser, KnownFields
from fleet.conditional import Versioned, VersionField
from fleet.roles import Role
from registrations import saved_views
from registrations.models import SavedView
from registrations.templatetags import handset_table


class ViewRow(KnownFields, serializers.ModelSerializer[SavedView]):
    """A saved view; `registrations/?view=SLUG` lists what it shows."""

    slug = serializers.SlugField(read_only=True)
    version = VersionField()
    query = serializers.CharField(
        required=False, allow_blank=True, help_text="Filters and `sort`, as in the page's address."
    )
    columns = serializers.ListField(
        child=serializers.ChoiceField(choices=list(handset_table.COLUMNS)), required=False
    )
    is_shared = serializers.BooleanField(required=False, default=False)
    is_mine = serializers.SerializerMethodField()

    class Meta:
        model = SavedView
        fields = ("slug", "version", "name", "is_shared", "is_mine", "query", "columns")

    def get_is_mine(self, view: SavedView) -> bool:
        return view.owner_id == self.context["request"].user.pk


class ViewViewSet(
    Versioned,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    viewsets.GenericViewSet[SavedView],
):
    """The shared views and the asker's own."""

    required_roles = dict.fromkeys(("GET", "POST", "PATCH", "DELETE"), Role.VIEWER)
    narrowed = ("GET", "POST", "PATCH", "DELETE")
    queryset = SavedView.objects.none()
    serializer_class = ViewRow
    pagination_class = Pages
    filter_backends = (NoFilters,)
    parser_classes = (JSONParser,)
    lookup_field = "slug"

    def get_queryset(self) -> QuerySet[SavedView]:
        return saved_views.visible_to(self.request.user)

    def create(self, request: Request) -> Response:
        """Keep a list under a name, private unless it is to be shared."""
        given = self._given(request, partial=False)
        params, keys = QueryDict(given.get("query", "")), given.get("columns", [])
        made = _allowed(
            lambda: saved_views.save(
                request.user, given["name"], params, handset_table.known(keys), given["is_shared"]
            )
        )
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ViewRow)
    @transaction.atomic
    def partial_update(self, request: Request, slug: str) -> Response:
        """Rename or share it, or let it be another list; the slug stays."""
        view, given = self.get_object(), self._given(request, partial=True)
        params = QueryDict(given.get("query", view.query))
        keys = handset_table.known(given.get("columns", view.columns))
        name, shared = given.get("name", view.name), given.get("is_shared", view.is_shared)
        _allowed(lambda: saved_views.replace(view, request.user, params, keys))
        _allowed(lambda: saved_views.change(view, request.user, name, shared))
        return Response(self.get_serializer(view).data)

    @transaction.atomic
    def destroy(self, request: Request, slug: str) -> Response:
        """Forget it; no handset is touched."""
        view = self.get_object()
        _allowed(lambda: saved_views.delete(view, request.user))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _given(self, request: Request, *, partial: bool) -> dict[str, Any]:
        read = self.get_serializer(data=request.data, partial=partial)
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)


def _allowed(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except saved_views.ViewRefused as refused:
        raise PermissionDenied(str(refused)) from refused
