"""The API of what happened: the history, leaf by leaf and as a file."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import mixins, serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from fleet.api_lists import Pages
from fleet.roles import Role
from registrations import queries
from registrations.models import State, Transition

VIEWER_READS = {"GET": Role.VIEWER}


class Place(serializers.Serializer[Any]):
    """A state and the server it was on."""

    state = serializers.ChoiceField(choices=State.choices)
    server = serializers.CharField(allow_blank=True)


class TransitionRow(serializers.Serializer[Transition]):
    """One change of (state, server)."""

    id = serializers.IntegerField()
    registration = serializers.IntegerField(allow_null=True)
    at = serializers.DateTimeField()
    mac = serializers.CharField()
    extension = serializers.CharField()
    name = serializers.CharField(help_text="The handset's name at that time.")
    group = serializers.CharField()
    site = serializers.CharField()
    to = Place()
    cause = serializers.ChoiceField(choices=tuple(queries.CAUSES.items()))
    cause_word = serializers.CharField()
    code = serializers.IntegerField(allow_null=True, help_text="The SIP code behind it.")
    reason = serializers.CharField()
    detect_seconds = serializers.FloatField(
        allow_null=True,
        help_text="How long the server that was left can have been away unnoticed, at most: since "
        "its last good answer.",
    )
    seconds = serializers.FloatField(
        allow_null=True,
        help_text="How long the change took, from its first request to the answer that ended it.",
    )
    asked_by = serializers.CharField(allow_blank=True)

    def get_fields(self) -> dict[str, Any]:
        # `from` is a keyword of Python, so it cannot be declared like the others.
        return super().get_fields() | {"from": Place()}

    def to_representation(self, instance: Transition) -> dict[str, Any]:
        return queries.transition_row(instance)


class Leaves(Pages):
    """`{count, next, previous, results}`, each leaf behind the last change of the one before.

    `count` is null where counting takes longer than COUNT_S. A leaf may hold fewer than `page_size`
    and have a `next`: then the search went as far as its time allows.
    """

    shown_by = ("page_size", "before", "after")
    count_s = 1.0

    def paginate_queryset(
        self, queryset: QuerySet[Transition], request: Request, view: Any = None
    ) -> list[Transition]:
        self.check(request)
        asked = queries.TransitionFilter(request.query_params, queryset).form
        bounds = asked.cleaned_data if asked.is_valid() else {}
        self.url = request.build_absolute_uri()
        self.count = queries.count(queryset, None, self.count_s)
        self.leaf = queries.leaf(
            queryset,
            self.get_page_size(request) or self.page_size,
            before=queries.Mark.read(request.query_params.get("before", "")),
            after=queries.Mark.read(request.query_params.get("after", "")),
            since=bounds.get("since"),
            until=bounds.get("until"),
        )
        return self.leaf.rows

    def get_paginated_response(self, data: Any) -> Response:
        leaf = self.leaf
        return Response(
            {
                "count": self.count,
                "next": self._link("before", "after", leaf.older),
                "previous": self._link("after", "before", leaf.newer),
                "results": data,
            }
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        described = super().get_paginated_response_schema(schema)
        described["properties"]["count"] |= {"nullable": True}
        return described

    def _link(self, name: str, other: str, mark: queries.Mark | None) -> str | None:
        if mark is None:
            return None
        return replace_query_param(remove_query_param(self.url, other), name, str(mark))


class TransitionViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Transition]
):
    """The history, newest first."""

    required_roles = VIEWER_READS
    narrowed = ("GET",)
    queryset = Transition.objects.none()
    serializer_class = TransitionRow
    filterset_class = queries.TransitionFilter
    pagination_class = Leaves
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Transition]:
        return queries.transitions()
