"""What is wrong and why: one incident per common cause, its timeline, and the last look for any."""

from datetime import datetime

from django.db import models
from django.db.models import Q

from fleet.models import Server
from registrations.incidents.limits import NUMBERS, Limit, changed
from registrations.models.registration import Registration


class Incident(models.Model):
    """One cause of trouble, from when it began until it was over for good.

    `cause` tells it from all others that are open. Who is hit is counted here and listed by
    queries over registrations and their history: an incident of 10,000 handsets is one row.
    Names are copied: incidents outlive what they name.
    """

    class Kind(models.TextChoices):
        SERVER_SILENT = "server_silent", "Server silent"
        SERVER_SICK = "server_sick", "Server refuses handsets"
        SITE_NETWORK = "site_network", "Site network suspected"
        CREDENTIALS = "credentials", "Handsets refused"
        HANDSET = "handset", "Handset without a server"
        FLAPPING = "flapping", "Handsets flap"
        WORKER_SILENT = "worker_silent", "Worker silent"
        BEAT_SILENT = "beat_silent", "Beat silent"
        PROOF_LOST = "proof_lost", "Standby proof lost"
        HORIZON = "horizon", "Bindings run out soon"
        DRILL = "drill", "Not home after a drill"

    class Severity(models.TextChoices):
        """CRITICAL: handsets are or will soon be without a server."""

        WARNING = "warning", "Warning"
        CRITICAL = "critical", "Critical"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        RESOLVED = "resolved", "Resolved"

    kind = models.CharField(max_length=14, choices=Kind.choices)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    cause = models.CharField(max_length=300)
    title = models.CharField(max_length=200)
    happened = models.CharField(max_length=500, help_text="One true sentence")
    remedy = models.CharField(max_length=500, blank=True, help_text="What to do about it")
    server = models.ForeignKey(Server, models.SET_NULL, null=True, related_name="incidents")
    registration = models.ForeignKey(
        Registration, models.SET_NULL, null=True, related_name="incidents"
    )
    server_name = models.CharField(max_length=300, blank=True)
    groups = models.JSONField(default=list, help_text="Names of the groups it touches; none: any")
    sites = models.JSONField(default=list, help_text="Names of the sites it touches; none: any")
    opened_at = models.DateTimeField(help_text="When the trouble began")
    detected_at = models.DateTimeField(help_text="When Rollcall knew that it is one")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    comment = models.CharField(max_length=500, blank=True)
    good_since = models.DateTimeField(null=True, help_text="Since when nothing is wrong, so far")
    resolved_at = models.DateTimeField(null=True)
    handsets = models.PositiveIntegerField(default=0, help_text="Hit now")
    most_handsets = models.PositiveIntegerField(default=0, help_text="Hit at once, at most")
    of_handsets = models.PositiveIntegerField(default=0, help_text="Out of so many")
    relapses = models.PositiveIntegerField(
        default=0, help_text="How often it came back before it was over"
    )
    expected = models.CharField(
        max_length=200, blank=True, help_text="The maintenance in which it is expected"
    )
    folded_into = models.ForeignKey(
        "self", models.SET_NULL, null=True, related_name="folded", help_text="What it follows from"
    )

    class Meta:
        ordering = ["-detected_at", "-id"]
        constraints = [
            # Two looks at once, or a hint delivered twice, make one incident.
            models.UniqueConstraint(
                fields=["cause"],
                name="one_open_incident_per_cause",
                condition=Q(resolved_at__isnull=True),
            )
        ]
        indexes = [models.Index(fields=["-detected_at", "-id"], name="incidents_by_time")]

    def __str__(self) -> str:
        return self.title

    @property
    def state(self) -> "Incident.State":
        if self.resolved_at is not None:
            return self.State.RESOLVED
        return self.State.ACKNOWLEDGED if self.acknowledged_at is not None else self.State.OPEN

    @property
    def over_at(self) -> datetime | None:
        """From when on nothing was wrong; known to have been the end only at `resolved_at`."""
        return self.resolved_at and (self.good_since or self.resolved_at)

    @property
    def lasted_s(self) -> float | None:
        """How long something was wrong; None while it is not over."""
        return (self.over_at - self.opened_at).total_seconds() if self.over_at else None


class IncidentEntry(models.Model):
    """One line of an incident's timeline. Append-only."""

    class What(models.TextChoices):
        OPENED = "opened", "Opened"
        GREW = "grew", "Grew"
        WORSE = "worse", "Got worse"
        BETTER = "better", "Better so far"
        RELAPSED = "relapsed", "Came back"
        FOLDED = "folded", "Follows from another"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        COMMENTED = "commented", "Commented"
        RESOLVED = "resolved", "Resolved"

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="entries")
    at = models.DateTimeField()
    what = models.CharField(max_length=12, choices=What.choices)
    said = models.CharField(max_length=500, blank=True)
    by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["at", "id"]


class IncidentLimit(models.Model):
    """From when on a kind of trouble is an incident. What is empty is as Rollcall has it."""

    kind = models.CharField(max_length=14, choices=Incident.Kind.choices, unique=True)
    at_least = models.PositiveIntegerField(null=True, blank=True, help_text="Handsets hit")
    percent = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="And so many of a hundred"
    )
    after_s = models.PositiveIntegerField(
        null=True, blank=True, help_text="And for so many seconds"
    )
    good_s = models.PositiveIntegerField(
        null=True, blank=True, help_text="Over after so many seconds in which nothing was wrong"
    )
    times = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Flapping: changes of a handset. Silent servers: good answers, to answer again",
    )
    within_s = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="These changes or answers within so many seconds; bindings that end within them",
    )
    calm_s = models.PositiveIntegerField(
        null=True, blank=True, help_text="Flapping: the last change within so many seconds"
    )

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.get_kind_display()

    @property
    def given(self) -> dict[str, int | None]:
        """Its numbers by name; None: as by default."""
        return {name: getattr(self, name) for name in NUMBERS[self.kind]}

    @property
    def limit(self) -> Limit:
        """What holds."""
        return changed(self.kind, self.given)


class IncidentLook(models.Model):
    """When somebody last looked for incidents: the one row of this table.

    Whoever moves `at` on does the looking, so that it is done once however many ask.
    """

    at = models.DateTimeField()
