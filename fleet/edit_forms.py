"""Forms of what exists: read by the rules of files, refused over what others changed meanwhile."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db import models, transaction

from fleet import allowed, bulk, dns_records, inventory
from fleet.formats import policy, values, zone_lines
from fleet.formats.dns_cache import DnsRow
from fleet.guarded_forms import Guarded, Meanwhile, locked
from fleet.models import Handset, Line, Server, ServerGroup, Site

STAYS = "stays as it is"
TOLD = 5
"""Wrong lines of a text that are told at once."""


class Edit(Guarded):
    """Makes or changes one thing by `fleet.inventory`, so that registrations follow."""

    readers: ClassVar[Mapping[str, Callable[[str], object]]] = {}

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        for name, reader in self.readers.items():
            if name in given:
                try:
                    given[name] = reader(given[name])
                except ValueError as wrong:
                    self.add_error(name, str(wrong))
        self.look_for_others()
        return given

    def keep(self) -> None:
        """Save and announce it. Only what is valid; a refusal of the inventory becomes an error."""
        self.instance = inventory.change(self.before, self.save)


class Words(forms.CharField):
    """Short texts between commas."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        try:
            return list(values.words(super().clean(value).split(",")))
        except ValueError as wrong:
            raise ValidationError(str(wrong)) from wrong


class SiteEdit(Edit):
    readers = {"name": values.slug}

    class Meta:
        model = Site
        fields = ("name", "time_zone", "has_own_workers")
        labels = {"has_own_workers": "Has workers of its own"}
        help_texts = {
            "name": "Letters, digits, hyphens and underscores: it names a queue too.",
            "time_zone": "Times of its handsets are shown in it. Begin to type a city.",
            "has_own_workers": "Only workers started with WORKER_SITES for this site register its "
            "handsets; without any, nobody does. Else the workers of the shared queue do.",
        }
        error_messages = {
            "name": {
                "unique": "There is a site of that name already.",
                "invalid": "Letters, digits, hyphens and underscores only.",
            }
        }
        widgets = {"time_zone": forms.TextInput(attrs={"list": "zones", "autocomplete": "off"})}


class PolicyField(forms.Field):
    """One parameter of the policy, read as everywhere; its choices are the guide's words."""

    def __init__(self, parameter: policy.Parameter) -> None:
        self.parameter = parameter
        self.choices = list(_choices(parameter))
        number = forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"})
        widget = forms.Select(choices=self.choices) if self.choices else number
        label = parameter.guide_name or parameter.name
        super().__init__(required=False, label=label, widget=widget, initial=parameter.default)

    @property
    def usual(self) -> str:
        """The default, as the form words it."""
        written = self.prepare_value(self.parameter.default)
        return dict(self.choices).get(written, str(written))

    def prepare_value(self, value: Any) -> Any:
        return str(value).lower() if isinstance(value, bool) else value

    def clean(self, value: Any) -> Any:
        try:
            return self.parameter.read("" if value is None else value)
        except ValueError as wrong:
            raise ValidationError(str(wrong)) from wrong


def _choices(parameter: policy.Parameter) -> Iterator[tuple[str, str]]:
    if parameter.kind is policy.Kind.SWITCH:
        yield from (("true", "1, on"), ("false", "0, off"))
    for word in parameter.choices:
        yield word, parameter.written(word)


class DnsRecords(forms.CharField):
    """A group's own DNS records, a line for each."""

    def clean(self, value: Any) -> Any:
        rows, wrong = zone_lines.read(super().clean(value))
        if wrong:
            more = f" {len(wrong) - TOLD} more." if len(wrong) > TOLD else ""
            raise ValidationError(" ".join(wrong[:TOLD]) + more)
        return rows


class GroupEdit(Edit):
    """A group and its whole policy."""

    dns_cache = DnsRecords(
        required=False,
        label="Records (dns.cache)",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="One to a line, as in a zone file or as dig prints them: pbx.example 300 IN A "
        "192.0.2.10. Types A, SRV and NAPTR, twelve of each; the TTL is at least 300.",
    )
    readers = {"name": partial(values.needed, longest=80)}

    class Meta:
        model = ServerGroup
        fields = ("name", "mode", "tls_ca", "tls_certificate", *policy.PARAMETERS)
        labels = {"tls_ca": "Authorities to trust (PEM)", "tls_certificate": "Certificate (PEM)"}
        help_texts = {
            "mode": "Failover: equal servers, one registration at a time. Fallback: a lesser "
            "server stands in, with a registration on each.",
        }
        error_messages = {"name": {"unique": "There is a group of that name already."}}
        widgets = dict.fromkeys(("tls_ca", "tls_certificate"), forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        for name, parameter in policy.PARAMETERS.items():
            field = self.fields[name] = PolicyField(parameter)
            field.widget.attrs |= {"class": "input", "aria-describedby": f"about-{name}"}
        self._records = dns_records.rows_of(self.instance) if self.before else []
        self.initial["dns_cache"] = zone_lines.written(self._records)

    def save(self, commit: bool = True) -> Any:
        group = super().save(commit)
        dns_records.put(group, self.cleaned_data["dns_cache"])
        return group

    @property
    def records(self) -> list[DnsRow]:
        """Those that are typed, where they are right; else those that are there."""
        typed: list[DnsRow] | None = self.cleaned_data.get("dns_cache") if self.is_bound else None
        return self._records if typed is None else typed

    @property
    def parameters(self) -> list[forms.BoundField]:
        return [self[name] for name in policy.PARAMETERS]

    @property
    def sections(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The policy as pages group it."""
        return [(title, [self[name] for name in names]) for title, names in policy.SECTIONS.items()]


class ServerEdit(Edit):
    """A server of a group; its place among the others is changed on the group's page."""

    port = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=65535,
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
        help_text="Left empty: 5060, over TLS 5061, and for a name what DNS says.",
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"), "The port must be a number from 0 to 65535."
        ),
    )
    lost_features = Words(
        required=False,
        label="Features it lacks",
        help_text="Such as voicemail, presence; between commas. Said where handsets fall back.",
    )
    readers = {
        "address": allowed.server_address,
        "tls_name": values.tls_name,
        "name": partial(values.text, longest=80),
    }

    class Meta:
        model = Server
        fields = (
            *("address", "port", "transport", "name", "tls_name", "register", "lost_features"),
        )
        labels = {"tls_name": "Name in its certificate", "register": "Takes registrations"}
        help_texts = {
            "address": "An IP address, or a name that DNS looks up.",
            "register": "Else it gets calls only, never a REGISTER.",
            "name": "What pages call it; left empty, its address.",
        }

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if given.get("port") is None and given.keys() >= {"port", "address", "transport"}:
            given["port"] = values.default_port(given["address"], given["transport"])
        return given

    def keep(self) -> None:
        priority = self.before.priority if self.before else None
        server = self.instance

        def place() -> Server:
            inventory.place_server(server, priority)
            return server

        try:
            inventory.change(self.before, place)
        except inventory.Refused as wrong:
            self.add_error(wrong.field if wrong.field in self.fields else None, str(wrong))


class HandsetEdit(Edit):
    mac = forms.CharField(label="MAC", help_text="Twelve hexadecimal digits, spelt in any way.")
    tags = Words(required=False, help_text="Between commas.")
    readers = {
        "mac": values.mac,
        "name": partial(values.text, longest=120),
        "model": partial(values.text, longest=40),
    }

    class Meta:
        model = Handset
        fields = ("mac", "name", "model", "group", "site", "tags")
        error_messages = {"mac": {"unique": "There is such a handset already."}}


class LineEdit(Edit):
    """The stored password is no field of it, so that no page can show it."""

    new_password = forms.CharField(
        required=False,
        strip=False,
        label="Password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    auth_user = forms.CharField(required=False, max_length=128, label="User")
    readers = {"auth_user": partial(values.text, longest=128), "new_password": values.password}

    class Meta:
        model = Line
        fields = ("number", "extension", "domain", "auth_user", "supervision")
        widgets = {"number": forms.TextInput(attrs={"inputmode": "numeric"})}
        error_messages = {"supervision": {"required": "Choose what Rollcall does with it."}}

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.fields["auth_user"].widget.attrs["placeholder"] = "the extension"
        if self.before:
            self.fields["new_password"].widget.attrs["placeholder"] = "stays as it is"

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        given["auth_user"] = given.get("auth_user") or given.get("extension", "")
        return given

    def save(self, commit: bool = True) -> Any:
        if given := self.cleaned_data["new_password"]:
            self.instance.auth_password = given
        return super().save(commit)


class _Lines(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        last = max((line.number for line in self.get_queryset()), default=0)
        self.initial_extra = [{"number": last + 1}]

    @property
    def meanwhile(self) -> list[Meanwhile]:
        return [said for form in self.forms for said in form.meanwhile]

    def keep(self) -> None:
        """Save and announce what was changed, made and ticked to be deleted."""
        for form in self.forms:
            if form in self.deleted_forms:
                if form.instance.pk:
                    inventory.delete(form.instance)
            elif form.has_changed():
                form.instance.handset = self.instance
                form.keep()


Lines = forms.inlineformset_factory(
    Handset, Line, form=LineEdit, formset=_Lines, extra=1, max_num=values.MAX_LINE
)


class BulkEdit(forms.Form):
    """What many handsets are to have in common; what is left empty stays as it is."""

    group = forms.ModelChoiceField(ServerGroup.objects.all(), required=False, empty_label=STAYS)
    site = forms.ModelChoiceField(Site.objects.all(), required=False, empty_label=STAYS)
    supervision = forms.ChoiceField(
        choices=[("", STAYS), *Line.Supervision.choices], required=False
    )
    add_tags = Words(required=False, label="Add tags", help_text="Between commas.")
    remove_tags = Words(required=False, label="Take tags away")

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if not self.errors and not any(given.values()):
            raise ValidationError("Choose what to change.")
        return given

    @property
    def change(self) -> bulk.Change:
        given = self.cleaned_data
        tags = {name: tuple(given[name]) for name in ("add_tags", "remove_tags")}
        return bulk.Change(given["group"], given["site"], given["supervision"], **tags)


@transaction.atomic
def edited(form: type[Edit], thing: models.Model, given: Mapping[str, Any]) -> Edit:
    """Return the form of `thing` with what was given, kept where it has no errors.

    The row is locked meanwhile, so that nobody comes in between the look and the change.
    """
    bound = form(given, instance=locked(thing))
    if bound.is_valid():
        bound.keep()
    return bound


@transaction.atomic
def edited_handset(thing: Handset, given: Mapping[str, Any]) -> tuple[HandsetEdit, _Lines]:
    """As `edited`: a handset and its lines, all or nothing."""
    handset = locked(thing)
    bound, lines = HandsetEdit(given, instance=handset), Lines(given, instance=handset)
    if bound.is_valid() & lines.is_valid():
        bound.keep()
        lines.keep()
    return bound, lines
