"""What exists, filtered: the filters of the API's lists. Constant query counts."""

from typing import Any

import django_filters
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from fleet.filters import Filters, IdsFilter
from fleet.models import Handset, Line, Server, ServerGroup, Site
from fleet.people import ApiToken


def plain_mac(text: str) -> str:
    """Return a MAC or a piece of one as stored: lower-case hex digits, no separators."""
    return text.lower().translate(str.maketrans("", "", ":-."))


class _SearchFilter(Filters):
    """`q` keeps rows in which every word is found in one of `searched`, or in the MAC."""

    q = django_filters.CharFilter(method="by_text", label="Search")
    searched: tuple[str, ...] = ()
    mac_field = ""

    def by_text(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        for word in value.split():
            found = Q()
            for name in self.searched:
                found |= Q(**{f"{name}__icontains": word})
            if self.mac_field and (mac := plain_mac(word)):
                found |= Q(**{f"{self.mac_field}__icontains": mac})
            rows = rows.filter(found)
        return rows

    def by_mac(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        return rows.filter(**{self.mac_field: plain_mac(value)})


class SiteFilter(_SearchFilter):
    searched = ("name",)

    class Meta:
        model = Site
        fields = ("name",)


class GroupFilter(_SearchFilter):
    searched = ("name",)

    class Meta:
        model = ServerGroup
        fields = ("name", "mode")


class ServerFilter(_SearchFilter):
    searched = ("name", "address")
    group = IdsFilter(queryset=ServerGroup.objects.all())

    class Meta:
        model = Server
        fields = ("address", "port", "register")


class HandsetFilter(_SearchFilter):
    searched = ("name", "model", "lines__extension")
    mac_field = "mac"
    group = IdsFilter(queryset=ServerGroup.objects.all())
    site = IdsFilter(queryset=Site.objects.all())
    mac = django_filters.CharFilter(method="by_mac", label="MAC")

    class Meta:
        model = Handset
        fields = ("model",)

    def by_text(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        # A handset whose lines match twice is still one handset.
        return super().by_text(rows, _name, value).distinct()


class LineFilter(_SearchFilter):
    handset = IdsFilter(queryset=Handset.objects.all())
    searched = ("handset__name", "extension", "domain", "auth_user")
    mac_field = "handset__mac"
    group = IdsFilter(field_name="handset__group", queryset=ServerGroup.objects.all())
    site = IdsFilter(field_name="handset__site", queryset=Site.objects.all())
    mac = django_filters.CharFilter(method="by_mac", label="MAC")

    class Meta:
        model = Line
        fields = ("extension", "supervision")


class TokenFilter(Filters):
    user = django_filters.CharFilter(field_name="user__username", label="User")

    class Meta:
        model = ApiToken
        fields = ("user", "name")


class UserFilter(Filters):
    name = django_filters.CharFilter(field_name="username", label="Name")
    is_active = django_filters.BooleanFilter()

    class Meta:
        model = get_user_model()
        fields = ("name", "is_active")
