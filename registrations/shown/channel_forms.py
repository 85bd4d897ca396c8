"""What is filled in about a channel: a form for each kind. Secrets go in and never come out."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from django import forms

from fleet.guarded_forms import Guarded
from registrations.alerts import channel_checks, following, reporting
from registrations.alerts.channels import syslog
from registrations.models import Channel


class ChannelForm(Guarded):
    """A kind's form names its settings as fields, which the checks of that kind judge."""

    kind: str
    new_secret = ""
    """One that was made here: it is told this once."""

    class Meta:
        model = Channel
        fields = ("name", "is_on")
        labels = {"is_on": "It is on"}
        error_messages = {"name": {"unique": "There is a channel of that name already."}}

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        for name, value in self.instance.settings.items():
            if name in self.fields:
                self.fields[name].initial = value

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        self.instance.kind = self.kind
        names = [name for name in channel_checks.CHECKS[self.kind][0] if name in self.fields]
        settings = {name: given[name] for name in names if given.get(name)}
        self.instance.settings = settings
        if secret := given.get("secret", "").strip():
            self.instance.secret = secret
        for name, said in channel_checks.faults(self.kind, settings, self.instance.secret).items():
            if not self.has_error(name):
                self.add_error(name, said)
        self.look_for_others()
        return given


class EmailForm(ChannelForm):
    """A channel that sends mail."""

    kind = Channel.Kind.EMAIL
    to = forms.CharField(
        label="To",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One address on each line. Each gets a mail of its own.",
    )
    reports = forms.MultipleChoiceField(
        label="Reports",
        required=False,
        choices=list(reporting.NAMES.items()),
        widget=forms.CheckboxSelectMultiple,
    )
    report_at = forms.TimeField(
        label="Reports leave at",
        initial=reporting.USUAL_HOUR,
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text="The weekly one on Mondays.",
    )
    time_zone = forms.ChoiceField(
        label="By the clock of",
        choices=[(zone, zone) for zone in sorted(available_timezones())],
        initial="UTC",
        required=False,
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["to"].initial = "\n".join(self.instance.settings.get("to", ()))

    def clean_to(self) -> list[str]:
        given = self.cleaned_data["to"].replace(",", "\n").replace(";", "\n").split()
        return list(dict.fromkeys(given))

    def clean_report_at(self) -> str:
        given = self.cleaned_data["report_at"]
        return f"{given:%H:%M}" if given else ""


def _authority() -> forms.CharField:
    return forms.CharField(
        label="Certificates of who signed its own, in PEM",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Only over TLS. Left empty, those the system trusts.",
    )


class SyslogForm(ChannelForm):
    """A receiver of syslog."""

    kind = Channel.Kind.SYSLOG
    host = forms.CharField(label="Name or address", max_length=253)
    port = forms.IntegerField(initial=514, min_value=1, max_value=channel_checks.LARGEST_PORT)
    transport = forms.ChoiceField(choices=[(each, each.upper()) for each in syslog.TRANSPORTS])
    facility = forms.ChoiceField(
        choices=[(each, each) for each in syslog.FACILITIES], initial=syslog.USUAL_FACILITY
    )
    ca = _authority()


class WebhookForm(ChannelForm):
    """Who listens over HTTP. Its secret is made here, and told once."""

    kind = Channel.Kind.WEBHOOK
    url = forms.CharField(
        label="Address", max_length=channel_checks.LONGEST, help_text="https://, or http:// inside."
    )
    follows = forms.MultipleChoiceField(
        label="Sent too",
        required=False,
        choices=list(following.FOLLOWED.items()),
        widget=forms.CheckboxSelectMultiple,
    )
    ca = _authority()

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if not self.instance.secret:
            self.new_secret = self.instance.secret = channel_checks.new_secret()
        return given


class ChatForm(ChannelForm):
    """Chats, SMS gateways and pagers, as Apprise reaches them."""

    kind = Channel.Kind.CHAT
    secret = forms.CharField(
        label="Addresses of the services",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Apprise's URLs, one on each line. They hold keys, so they are not shown again; "
        "left empty, those that are kept stay.",
    )


CHANNEL_FORMS: Mapping[str, type[ChannelForm]] = {
    form.kind: form for form in (EmailForm, SyslogForm, WebhookForm, ChatForm)
}
"""A form for each kind of channel."""
