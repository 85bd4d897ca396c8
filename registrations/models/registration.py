"""The hot row of one line, and the words of its state."""

from django.db import models
from django.db.models import Q

from fleet import reach
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
    # Every index is paid for by each claim and each save: these two are found by those below.
    group = models.ForeignKey(
        ServerGroup, models.CASCADE, related_name="registrations", db_index=False
    )
    site = models.ForeignKey(Site, models.CASCADE, related_name="registrations", db_index=False)

    state = models.CharField(max_length=12, choices=State.choices, default=State.REGISTERING)
    server = models.ForeignKey(Server, models.SET_NULL, null=True, related_name="registrations")
    assumed_on = models.ForeignKey(
        Server,
        models.SET_NULL,
        null=True,
        db_index=False,
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
    claimed_at = models.DateTimeField(null=True)
    stuck_since = models.DateTimeField(
        null=True, help_text="Since when its agent has come to no end; none once one did"
    )
    restarts = models.PositiveIntegerField(default=0, db_default=0)
    clock_set_s = models.FloatField(
        default=0.0,
        db_default=0.0,
        help_text="By how much the clock was set since the times in `snapshot` were kept",
    )
    cseq_reserve = models.PositiveIntegerField(default=0)
    snapshot = models.JSONField(default=dict)
    snapshot_format = models.PositiveSmallIntegerField(
        db_default=1, help_text="See keeping.FORMAT; workers of before it leave the row alone"
    )
    wish = models.CharField(max_length=20, blank=True)
    wish_version = models.PositiveIntegerField(default=0)
    wish_by = models.CharField(max_length=150, blank=True)
    wish_request = models.CharField(max_length=64, blank=True, help_text="Whose log lines go on")

    objects = reach.Narrowed["Registration"]()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["site", "due_at"], name="store_claim_site"),
            models.Index(fields=["group", "state", "server"], name="queries_summary"),
            models.Index(
                fields=["assumed_on"],
                name="server_assumed",
                condition=Q(assumed_on__isnull=False),
            ),
            models.Index(
                fields=["since"],
                name="queries_unserved",
                condition=Q(state__in=("unregistered", "rejected")),
            ),
        ]

    @staticmethod
    def of_sites(ids: frozenset[int]) -> Q:
        return Q(site__in=ids)
