"""What a report is asked for: a period, a cut, a part of the fleet."""

from datetime import datetime, timedelta
from typing import Any

from django import forms

from fleet.filters import KnownNames, MomentFilter
from registrations.queries.reports import CUTS, Period
from registrations.queries.words import plain_mac

DEFAULT = timedelta(days=30)
"""How far back a report goes that does not say."""


class ReportForm(KnownNames):
    """The parameters of reports, as page, API and export take them.

    Once valid: `period`, which ends now at the latest, `cut`, and `part` for `reports.report`.
    """

    by = forms.ChoiceField(choices=[(cut, cut) for cut in CUTS], required=False)
    since = MomentFilter(required=False).field
    until = MomentFilter(required=False).field
    group = forms.CharField(required=False)
    site = forms.CharField(required=False)
    mac = forms.CharField(required=False)

    def __init__(self, data: Any, now: datetime) -> None:
        super().__init__(data)
        self._now = now

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        end = min(given.get("until") or self._now, self._now)
        start = given.get("since") or end - DEFAULT
        if not self.errors and start >= end:
            raise forms.ValidationError({"since": "It must begin before it ends, and before now."})
        self.period = Period(start, end)
        self.cut = given.get("by") or "group"
        self.part = {
            "group": given.get("group") or "",
            "site": given.get("site") or "",
            "mac": plain_mac(given.get("mac") or ""),
        }
        return given
