"""What happens: one hot row per line, its history, failback jobs, server health and pace."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from fleet.models import Line, Server, ServerGroup, Site


class State(models.TextChoices):
    """What is stored and what is shown. UNKNOWN is never stored: queries derive it."""

    PRIMARY = "primary", "On primary"
    SECONDARY = "secondary", "On secondary"
    FALLBACK = "fallback", "On fallback"
    REGISTERING = "registering", "Registering"
    UNREGISTERED = "unregistered", "Unregistered"
    REJECTED = "rejected", "Rejected"
    HELD = "held", "Held back"
    UNKNOWN = "unknown", "Unknown"
    DISABLED = "disabled", "Off"


class Registration(models.Model):
    """Where one line is registered now, why, and what its agent does next."""

    line = models.OneToOneField(Line, models.CASCADE, related_name="registration")
    group = models.ForeignKey(ServerGroup, models.CASCADE, related_name="registrations")
    site = models.ForeignKey(Site, models.CASCADE, related_name="registrations")

    state = models.CharField(max_length=12, choices=State.choices, default=State.REGISTERING)
    server = models.ForeignKey(Server, models.SET_NULL, null=True, related_name="registrations")
    assumed_on = models.ForeignKey(
        Server,
        models.SET_NULL,
        null=True,
        related_name="assumed",
        help_text="The working server while it is another than `server`: it shares the "
        "registrations, by the group's word; no 200 of its own confirms it.",
    )
    since = models.DateTimeField()
    reason = models.CharField(max_length=300, blank=True)
    expires_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    last_code = models.PositiveSmallIntegerField(null=True)
    last_answer = models.CharField(max_length=300, blank=True)
    heard_at = models.DateTimeField(null=True)
    renewals = models.PositiveIntegerField(default=0)

    due_at = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    cseq_reserve = models.PositiveIntegerField(default=0)
    snapshot = models.JSONField(default=dict)
    wish = models.CharField(max_length=20, blank=True)
    wish_version = models.PositiveIntegerField(default=0)
    wish_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["site", "due_at"], name="store_claim_due", condition=Q(due_at__isnull=False)
            ),
            models.Index(fields=["group", "state", "server"], name="queries_summary"),
        ]


class Transition(models.Model):
    """One change of (state, server). Append-only; names are copied: history outlives rows."""

    registration = models.ForeignKey(
        Registration, models.SET_NULL, null=True, related_name="transitions"
    )
    at = models.DateTimeField()
    mac = models.CharField(max_length=12)
    extension = models.CharField(max_length=64)
    handset_name = models.CharField(max_length=120, blank=True)
    group_name = models.CharField(max_length=80)
    site_name = models.CharField(max_length=60)
    from_state = models.CharField(max_length=12, choices=State.choices)
    from_server = models.CharField(max_length=300, blank=True)
    to_state = models.CharField(max_length=12, choices=State.choices)
    to_server = models.CharField(max_length=300, blank=True)
    cause = models.CharField(max_length=20)
    code = models.PositiveSmallIntegerField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    seconds = models.FloatField(null=True)
    asked_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["-at", "-id"], name="history_by_time"),
            models.Index(fields=["mac", "-at"], name="history_by_mac"),
            models.Index(fields=["registration", "-at"], name="history_by_registration"),
        ]


class Failback(models.Model):
    """An order to bring handsets home. Its progress is its rows, not a process."""

    scope = models.JSONField()
    asked_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())
    cancelled_at = models.DateTimeField(null=True)
    cancelled_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-id"]


class FailbackResult(models.Model):
    """What became of one registration of a failback."""

    class Result(models.TextChoices):
        PENDING = "pending", "Waiting"
        MOVED = "moved", "Moved to primary"
        ALREADY_THERE = "already_there", "Was on primary"
        REFUSED = "refused", "Primary refused it"
        FAILED = "failed", "Primary did not take it"
        LEFT_OUT = "left_out", "Left out"
        CANCELLED = "cancelled", "Cancelled"

    failback = models.ForeignKey(Failback, models.CASCADE, related_name="results")
    registration = models.ForeignKey(
        Registration, models.SET_NULL, null=True, related_name="failback_results"
    )
    mac = models.CharField(max_length=12)
    extension = models.CharField(max_length=64)
    result = models.CharField(max_length=14, choices=Result.choices, default=Result.PENDING)
    reason = models.CharField(max_length=300, blank=True)
    seconds = models.FloatField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["failback", "registration"], name="one_result_per_registration"
            ),
            # Also the index by which store.save finds the result an agent's answer belongs to.
            models.UniqueConstraint(
                fields=["registration"],
                name="one_open_failback",
                condition=Q(result="pending"),
            ),
        ]


class ServerHealth(models.Model):
    """What one site's workers know of one server, from probes and from the agents' own outcomes."""

    class Condition(models.TextChoices):
        UNKNOWN = "unknown", "Not asked yet"
        UP = "up", "Answers"
        SILENT = "silent", "Silent"

    server = models.ForeignKey(Server, models.CASCADE, related_name="health")
    site = models.ForeignKey(Site, models.CASCADE, related_name="health")
    condition = models.CharField(max_length=8, choices=Condition.choices, default=Condition.UNKNOWN)
    since = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)
    successes = models.PositiveIntegerField(default=0)
    good_since = models.DateTimeField(null=True, help_text="When the run of good answers began")
    register_missed = models.BooleanField(
        default=False, help_text="A REGISTER went unanswered since one was answered"
    )
    is_told = models.BooleanField(
        default=False, help_text="Its silence was told to the handsets of fast_failover groups"
    )
    heard_at = models.DateTimeField(null=True)
    last_answer = models.CharField(max_length=300, blank=True)
    due_at = models.DateTimeField()
    lease_token = models.UUIDField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server", "site"], name="one_health_per_server_site")
        ]


class SiteNetwork(models.Model):
    """Whether a site's own network is suspected: all its servers fell silent at once."""

    site = models.OneToOneField(Site, models.CASCADE, related_name="network")
    suspected_since = models.DateTimeField(null=True)


class ServerAcceptance(models.Model):
    """A server has accepted this handset before; `refused_at` if it has refused it since."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="acceptances")
    registration = models.ForeignKey(Registration, models.CASCADE, related_name="acceptances")
    refused_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["server", "registration"], name="one_acceptance_per_handset"
            )
        ]
        indexes = [
            models.Index(
                fields=["server", "refused_at"],
                name="health_refusals",
                condition=Q(refused_at__isnull=False),
            )
        ]


class ServerPace(models.Model):
    """When REGISTERs may go to a server; every worker reserves its slots here.

    A server that is *sick* refuses handsets it accepted before.
    """

    server = models.OneToOneField(Server, models.CASCADE, related_name="pace")
    next_at = models.FloatField(default=0.0, help_text="Unix seconds of the first free slot")
    paused_until = models.FloatField(
        default=0.0, help_text="Unix seconds; it asked to be left alone (503 with Retry-After)"
    )
    sick_since = models.DateTimeField(null=True)
    refused = models.PositiveIntegerField(
        default=0, help_text="Handsets it had refused when it was found sick"
    )
