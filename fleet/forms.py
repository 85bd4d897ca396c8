"""What is filled in during the first run: a site, a group's servers, a user."""

from typing import Any

from django import forms
from django.contrib.auth import get_user_model, password_validation

from fleet import users
from fleet.formats import values
from fleet.models import Server, ServerGroup, Site
from fleet.roles import Role

SERVERS = 4
"""Rows for servers on the page; a group with more comes by fleet file."""


class SiteForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Site
        fields = ("name", "time_zone")
        error_messages = {
            "name": {
                "unique": "There is a site of that name already.",
                "invalid": "Letters, digits, hyphens and underscores only: it names a queue too.",
            }
        }


class GroupForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = ServerGroup
        fields = ("name", "mode")
        error_messages = {"name": {"unique": "There is a group of that name already."}}


class ServerForm(forms.ModelForm):  # type: ignore[type-arg]
    """One server; left empty it is none. Without a port it has the usual one of its transport."""

    port = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=65535,
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"), "The port must be a number from 0 to 65535."
        ),
    )

    class Meta:
        model = Server
        fields = ("address", "port", "transport", "name")

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("port") is None and given.keys() >= {"port", "address", "transport"}:
            given["port"] = values.default_port(given["address"], given["transport"])
        return given


ServerRows = forms.formset_factory(ServerForm, extra=SERVERS, max_num=SERVERS)


class RoleField(forms.TypedChoiceField):
    """A role by its number."""

    def __init__(self, **more: Any) -> None:
        choices = [(role.value, role.word) for role in Role]
        super().__init__(choices=choices, coerce=lambda value: Role(int(value)), **more)


class TokenForm(forms.Form):
    """A token: what it is for, the most it may, and how many days (0: for good)."""

    DAYS = ((30, "30 days"), (90, "90 days"), (365, "A year"), (0, "Until it is revoked"))

    name = forms.CharField(max_length=80)
    role = RoleField()
    days = forms.TypedChoiceField(choices=DAYS, coerce=int, initial=90)


class RoleForm(forms.Form):
    role = RoleField()


class SitesForm(forms.Form):
    """The sites somebody is limited to; none: all sites."""

    sites = forms.ModelMultipleChoiceField(
        Site.objects.all(),
        required=False,
        error_messages={
            "invalid_choice": "There is no such site.",
            "list": "Choose from the list.",
        },
    )


class InviteForm(SitesForm):
    """A user to be, with a password of Rollcall's making."""

    name = forms.CharField(max_length=150)
    role = RoleField(initial=Role.VIEWER.value)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("sites") and given.get("role") == Role.ADMIN:
            self.add_error("sites", "Admins see all sites: choose none, or another role.")
        return given

    def clean_name(self) -> str:
        return users.new_name(self.cleaned_data["name"])


class UserForm(InviteForm):
    """One with a password that is chosen for them."""

    sites = None
    password = forms.CharField(strip=False, widget=forms.PasswordInput)

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        password_validation.validate_password(
            password, get_user_model()(username=self.data.get("name", ""))
        )
        return password
