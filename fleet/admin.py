"""Django's admin: the inventory, users and who changed what, for the role admin alone.

SIP passwords are never rendered here; a new one may be typed in. Users are only shown.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from rest_framework.authtoken.models import TokenProxy

from fleet import inventory, stale
from fleet.formats import dns_cache
from fleet.formats.policy import PARAMETERS
from fleet.guarded_forms import locked
from fleet.models import DnsRecord, Handset, Line, Server, ServerGroup, Site

# Nothing reads them any more: see fleet.tokens.
admin.site.unregister(TokenProxy)
admin.site.unregister([User, Group])


class Shown(admin.ModelAdmin):  # type: ignore[type-arg]
    """Nothing is changed here: only `fleet.users` sees to it that an admin is left."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def view_on_site(self, obj: Any) -> str:
        return reverse("users")


@admin.register(User)
class ShownUserAdmin(Shown, UserAdmin):  # type: ignore[type-arg]
    fieldsets = None
    fields = ("username", "is_active", "is_superuser", "groups", "last_login", "date_joined")


@admin.register(Group)
class ShownGroupAdmin(Shown, GroupAdmin):
    pass


class SeenForm(forms.ModelForm):  # type: ignore[type-arg]
    """Sends back which version it showed, and is refused where there is another by then."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._now = stale.version(self.instance) if self.instance.pk else ""
        self.fields["seen"].initial = self._now

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given["seen"] not in ("", self._now):
            raise ValidationError(
                "Somebody changed this since you opened it. Open it again, then decide."
            )
        return given


class Inventory(admin.ModelAdmin):  # type: ignore[type-arg]
    """Saves and deletes by `fleet.inventory`, so that registrations follow."""

    form = SeenForm

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Whoever changes it, which is in a transaction, holds it: nobody comes in between."""
        thing = super().get_object(request, object_id, from_field)
        return locked(thing) if thing is not None and connection.in_atomic_block else thing

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = type(obj).objects.get(pk=obj.pk) if change else None

        def save() -> Any:
            obj.save()
            return obj

        inventory.change(before, save)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        try:
            inventory.delete(obj)
        except inventory.InUse as used:
            raise PermissionDenied(str(used)) from used

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self.delete_model(request, obj)


class LineForm(SeenForm):
    """The stored password is no field of it, so that no page can show it."""

    new_password = forms.CharField(
        required=False,
        strip=False,
        max_length=256,
        widget=forms.PasswordInput(render_value=False),
        help_text="Left empty, the password stays as it is.",
    )

    class Meta:
        model = Line
        fields = ("handset", "number", "extension", "domain", "auth_user", "supervision")

    def save(self, commit: bool = True) -> Any:
        if given := self.cleaned_data["new_password"]:
            self.instance.auth_password = given
        return super().save(commit)


class ServerForm(SeenForm):
    class Meta:
        model = Server
        fields = (
            *("group", "name", "address", "port", "transport", "tls_name", "register"),
            "lost_features",
        )

    def clean_group(self) -> ServerGroup:
        group: ServerGroup = self.cleaned_data["group"]
        moved = self.instance.pk is not None and self.instance.group_id != group.pk
        if moved:
            raise ValidationError("A server stays in its group; make a new one there.")
        return group

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if not self.errors:
            place = {name: given[name] for name in ("group", "address", "port", "register")}
            try:
                inventory.check_place(Server(pk=self.instance.pk, **place), None)
            except inventory.Refused as refused:
                self.add_error(refused.field, str(refused))
        return given


@admin.register(Site)
class SiteAdmin(Inventory):
    list_display = ("name", "time_zone", "has_own_workers")


class DnsRecordInline(admin.TabularInline):  # type: ignore[type-arg]
    model = DnsRecord
    extra = 0
    max_num = dns_cache.MOST_OF_A_KIND * len(dns_cache.KINDS)


@admin.register(ServerGroup)
class ServerGroupAdmin(Inventory):
    """Each parameter of the policy says what it means, what it takes and the guide's name."""

    list_display = ("name", "mode", "fail_back_mode", "re_register_on")
    inlines = (DnsRecordInline,)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **more: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **more)
        parameter = PARAMETERS.get(db_field.name)
        if parameter is not None and field is not None:
            field.label = parameter.name
            called = f" Guide: {parameter.guide_name}." if parameter.guide_name else ""
            field.help_text = (
                f"{parameter.meaning} {parameter.permitted.capitalize()}; default "
                f"{parameter.written(parameter.default)}.{called}"
            )
        return field


@admin.register(Server)
class ServerAdmin(Inventory):
    """A new server takes the last place; its order is changed by API or fleet file."""

    form = ServerForm
    list_display = ("__str__", "group", "priority", "address", "port")
    list_filter = ("group",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        inventory.place_server(obj, obj.priority if change else None)
        inventory.announce(inventory.lines_of(obj))


@admin.register(Handset)
class HandsetAdmin(Inventory):
    list_display = ("mac", "name", "group", "site", "model")
    list_filter = ("group", "site")
    search_fields = ("mac", "name", "lines__extension")
    list_select_related = ("group", "site")


@admin.register(Line)
class LineAdmin(Inventory):
    form = LineForm
    list_display = ("__str__", "handset", "number", "supervision")
    list_filter = ("supervision",)
    search_fields = ("extension", "handset__mac", "handset__name")
    list_select_related = ("handset",)
    autocomplete_fields = ("handset",)
