"""What is filled in about rules and maintenance."""

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any

from django import forms

from fleet.guarded_forms import Guarded
from registrations import jobs
from registrations.alerts import checking
from registrations.models import AlertRule, Incident, MaintenanceWindow
from registrations.queries import zone_of

DAYS = [(str(number), day) for number, day in enumerate(jobs.DAYS, start=1)]
MINUTE = 60


def _boxes(**more: Any) -> dict[str, Any]:
    return {"required": False, "widget": forms.CheckboxSelectMultiple, **more}


class DaysField(forms.MultipleChoiceField):
    """ISO weekdays, kept as the text `12345`."""

    def __init__(self, **more: Any) -> None:
        super().__init__(choices=DAYS, **_boxes(**more))

    def prepare_value(self, value: Any) -> Any:
        return list(value or "")

    def clean(self, value: Any) -> str:  # type: ignore[override]
        return "".join(sorted(super().clean(value)))


class MinutesField(forms.IntegerField):
    """Minutes to people, seconds in the database."""

    def __init__(self, **more: Any) -> None:
        super().__init__(min_value=0, max_value=7 * 24 * 60, required=False, **more)

    def prepare_value(self, value: Any) -> Any:
        return value // MINUTE if isinstance(value, int) else value

    def clean(self, value: Any) -> int:
        return int(super().clean(value) or 0) * MINUTE


def _add(form: Any, faults: Mapping[str, str]) -> None:
    for name, sentence in faults.items():
        form.add_error(name, sentence)


def _clock() -> forms.TimeInput:
    return forms.TimeInput(attrs={"type": "time"}, format="%H:%M")


def _zones() -> forms.TextInput:
    return forms.TextInput(attrs={"list": "zones", "autocomplete": "off"})


class RuleForm(Guarded):
    """Which incidents, to whom, after how long, how often again, when."""

    kinds = forms.MultipleChoiceField(choices=Incident.Kind.choices, **_boxes())
    days = DaysField()
    at_least = forms.IntegerField(
        label="From how many handsets", min_value=0, max_value=1_000_000, required=False
    )
    percent = forms.IntegerField(
        label="And from how many of a hundred", min_value=0, max_value=100, required=False
    )
    after_s = MinutesField(label="After how many minutes", help_text="0: at once.")
    repeat_s = MinutesField(
        label="Again after minutes", help_text="Until somebody acknowledges it. 0: only once."
    )

    class Meta:
        model = AlertRule
        fields = (
            *("name", "is_on", "kinds", "severity", "groups", "sites", "channels", "at_least"),
            *("percent", "after_s", "repeat_s", "tells_end", "days", "begins", "ends", "time_zone"),
        )
        many = forms.CheckboxSelectMultiple
        widgets = {
            "groups": many,
            "sites": many,
            "channels": many,
            "begins": _clock(),
            "ends": _clock(),
            "time_zone": _zones(),
        }
        labels = {
            "is_on": "It is on",
            "severity": "At least",
            "tells_end": "Tell too when it is over",
            "begins": "From",
            "ends": "Until",
        }
        help_texts = {
            "severity": "Critical: handsets are or will soon be without a server.",
            "begins": "Left empty: the whole day.",
            "ends": "Earlier than From: on the next day.",
            "time_zone": "Whose clock that is.",
            "tells_end": "",
        }
        error_messages = {"name": {"unique": "There is a rule of that name already."}}

    def clean_at_least(self) -> int:
        return self.cleaned_data["at_least"] or 0

    def clean_percent(self) -> int:
        return self.cleaned_data["percent"] or 0

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        _add(self, checking.faults_of_rule(given))
        self.look_for_others()
        return given


class MaintenanceForm(Guarded):
    """When trouble is expected, and where: once, or every week."""

    often = forms.ChoiceField(
        label="How often", choices=[("once", "Once"), ("weekly", "Every week")]
    )
    starts = forms.DateTimeField(label="Once: it begins", required=False)
    stops = forms.DateTimeField(label="Once: it ends", required=False)
    days = DaysField()

    class Meta:
        model = MaintenanceWindow
        many = forms.CheckboxSelectMultiple
        fields = ("name", "servers", "groups", "sites", "time_zone", "days", "begins", "ends")
        widgets = {
            "servers": many,
            "groups": many,
            "sites": many,
            "begins": _clock(),
            "ends": _clock(),
            "time_zone": _zones(),
        }
        labels = {"begins": "From", "ends": "Until"}
        help_texts = {"ends": "Earlier than From: on the next day."}
        error_messages = {"name": {"unique": "There is a maintenance of that name already."}}

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["servers"].queryset = self.fields["servers"].queryset.select_related("group")  # type: ignore[attr-defined]
        self.fields["servers"].label_from_instance = lambda s: f"{s} of {s.group}"  # type: ignore[attr-defined]
        row = self.instance
        self.fields["often"].initial = "weekly" if row.days else "once"
        for name, at in (("starts", row.starts_at), ("stops", row.stops_at)):
            field = self.fields[name]
            field.widget = forms.DateTimeInput(
                attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
            )
            field.initial = _local(at, row.time_zone)

    def clean(self) -> dict[str, Any]:
        """What is typed is meant by the clock of the zone chosen."""
        given: dict[str, Any] = super().clean() or {}
        zone = zone_of(given.get("time_zone") or "UTC")
        if given.get("often") == "once":
            given |= {"days": "", "begins": None, "ends": None}
            for name in ("starts", "stops"):
                if (at := given.get(name)) is not None:
                    given[name] = at.replace(tzinfo=zone)
        else:
            given |= {"starts": None, "stops": None}
        spans = {"starts_at": given.get("starts"), "stops_at": given.get("stops")}
        wrong = checking.faults_of_maintenance(given | spans)
        if given.get("often") == "once" and "days" in wrong:
            wrong["stops_at"] = "Say when it begins, and an end that is later."
            del wrong["days"]
        _add(self, {name.removesuffix("_at"): said for name, said in wrong.items()})
        self.look_for_others()
        return given

    def _post_clean(self) -> None:
        self.instance.starts_at = self.cleaned_data.get("starts")
        self.instance.stops_at = self.cleaned_data.get("stops")
        super()._post_clean()  # type: ignore[misc]


def _local(at: datetime | None, zone: str) -> str:
    return at.astimezone(zone_of(zone)).strftime("%Y-%m-%dT%H:%M") if at is not None else ""


def hours_word(days: str, begins: time | None, ends: time | None) -> str:
    """Return the hours of a rule or a maintenance in words: `Mon to Fri 08:00 to 17:00`."""
    if begins is None or ends is None:
        return jobs.days_word(days)
    return f"{jobs.days_word(days)} {begins:%H:%M} to {ends:%H:%M}"
