"""Who is told of incidents, by what way, when not, and every message there was or will be."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from fleet.fields import EncryptedTextField
from fleet.models import Server, ServerGroup, Site
from registrations.models.incidents import Incident


class Channel(models.Model):
    """A way to tell somebody. `settings` are as its kind has them; secrets are in `secret`."""

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        SYSLOG = "syslog", "Syslog"
        WEBHOOK = "webhook", "Webhook"
        CHAT = "chat", "Chat, SMS, pager"

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    is_on = models.BooleanField(default=True)
    settings = models.JSONField(default=dict)
    secret = EncryptedTextField(blank=True, default="")
    told = models.JSONField(
        null=True, editable=False, help_text="How far it was told what it follows beside incidents"
    )
    made_by = models.CharField(max_length=150, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class AlertRule(models.Model):
    """Which incidents are told by which channels, after how long, how often again and when.

    Where nothing is chosen, nothing is left out: all kinds, all groups, all sites, all hours.
    """

    name = models.CharField(max_length=80, unique=True)
    is_on = models.BooleanField(default=True)
    kinds = models.JSONField(default=list, blank=True)
    severity = models.CharField(
        max_length=8,
        choices=Incident.Severity.choices,
        default=Incident.Severity.WARNING,
        help_text="The least",
    )
    groups = models.ManyToManyField(ServerGroup, blank=True, related_name="alert_rules")
    sites = models.ManyToManyField(Site, blank=True, related_name="alert_rules")
    channels = models.ManyToManyField(Channel, blank=True, related_name="rules")
    at_least = models.PositiveIntegerField(default=0, help_text="Handsets hit, at least")
    percent = models.PositiveSmallIntegerField(
        default=0, help_text="And so many of a hundred, at least"
    )
    after_s = models.PositiveIntegerField(
        default=0, help_text="Seconds an incident must have lasted"
    )
    repeat_s = models.PositiveIntegerField(
        default=0, help_text="Told again after so many seconds until acknowledged; 0: once"
    )
    tells_end = models.BooleanField(default=True, help_text="Tell too when it is over")
    days = models.CharField(max_length=7, default="1234567", help_text="ISO weekdays")
    begins = models.TimeField(null=True, blank=True, help_text="Empty: at all hours")
    ends = models.TimeField(null=True, blank=True, help_text="Up to `begins`: on the next day")
    time_zone = models.CharField(max_length=60, default="UTC")
    made_by = models.CharField(max_length=150, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class MaintenanceWindow(models.Model):
    """When trouble is expected somewhere, once or every week: nobody is told of that trouble.

    An incident is expected where all it touches lies within: its server, its group, or all its
    sites. Once: from `starts_at` to `stops_at`. Every week: `days`, `begins` and `ends`, by the
    clock of `time_zone`.
    """

    name = models.CharField(max_length=80, unique=True)
    servers = models.ManyToManyField(Server, blank=True, related_name="maintenance")
    groups = models.ManyToManyField(ServerGroup, blank=True, related_name="maintenance")
    sites = models.ManyToManyField(Site, blank=True, related_name="maintenance")
    time_zone = models.CharField(max_length=60, default="UTC")
    starts_at = models.DateTimeField(null=True, blank=True)
    stops_at = models.DateTimeField(null=True, blank=True)
    days = models.CharField(max_length=7, blank=True, help_text="ISO weekdays on which it begins")
    begins = models.TimeField(null=True, blank=True)
    ends = models.TimeField(null=True, blank=True, help_text="Up to `begins`: on the next day")
    made_by = models.CharField(max_length=150, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(starts_at__isnull=False, stops_at__gt=models.F("starts_at"), days="")
                | (Q(starts_at=None, begins__isnull=False, ends__isnull=False) & ~Q(days="")),
                name="maintenance_is_once_or_weekly",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One message to one recipient: waiting in the queue, sent, or given up.

    Made in the transaction that changes the incident; the queue and the log are this one table.
    """

    class What(models.TextChoices):
        OPENED = "opened", "It began"
        AGAIN = "again", "It is still on"
        RESOLVED = "resolved", "It is over"
        TEST = "test", "Test"
        CHANGES = "changes", "Changes"
        JOB = "job", "End of a job"
        REPORT = "report", "Report"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        GIVEN_UP = "given_up", "Given up"

    what = models.CharField(max_length=8, choices=What.choices)
    incident = models.ForeignKey(
        Incident, models.SET_NULL, null=True, related_name="deliveries", db_index=False
    )
    rule = models.ForeignKey(AlertRule, models.SET_NULL, null=True, related_name="deliveries")
    channel = models.ForeignKey(Channel, models.SET_NULL, null=True, related_name="deliveries")
    rule_name = models.CharField(max_length=80, blank=True)
    channel_name = models.CharField(max_length=80)
    recipient = models.CharField(max_length=300, blank=True)
    turn = models.PositiveIntegerField(default=0, help_text="The how-manieth of this rule")
    message = models.JSONField(help_text="subject, text, html and data")
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    created_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, help_text="None: never again")
    last_answer = models.CharField(max_length=300, blank=True)
    finished_at = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "rule", "channel", "recipient", "turn"],
                name="one_delivery_per_turn",
            )
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="deliveries_by_time"),
            models.Index(
                fields=["next_try_at"], name="deliveries_due", condition=Q(state="waiting")
            ),
        ]
