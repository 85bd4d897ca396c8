"""Orders that move handsets, what became of each handset in them, and when nothing fails back."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from fleet.models import Server, ServerGroup, Site
from registrations.models.registration import Registration


class Job(models.Model):
    """An order that moves handsets: first a canary, then wave after wave.

    Its progress is its rows, not a process. `wave` is the last one begun: 0 is the canary.
    """

    class Kind(models.TextChoices):
        FAILBACK = "failback", "Failback"
        DRAIN = "drain", "Drain"
        ROLLBACK = "rollback", "Rollback"
        DRILL = "drill", "Drill"

    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.FAILBACK)
    scope = models.JSONField()
    asked_by = models.CharField(max_length=150)
    request_id = models.CharField(max_length=64, blank=True, help_text="Whose log lines go on")
    is_automatic = models.BooleanField(
        default=False,
        help_text="Rollcall's own, for a fast_failover group: it waits for no-failback hours.",
    )
    created_at = models.DateTimeField(db_default=Now())
    abort_above_percent = models.PositiveSmallIntegerField(
        default=5, validators=[MaxValueValidator(100)]
    )
    wave_size = models.PositiveIntegerField(
        null=True,
        validators=[MinValueValidator(1)],
        help_text="Handsets of one group in a wave; empty: what its servers' cap takes in 5 s.",
    )
    writing_until = models.DateTimeField(
        null=True,
        help_text="While its results are being written: when its writer counts as dead",
    )
    wave = models.PositiveIntegerField(null=True)
    wave_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=150, blank=True)
    cancelled_at = models.DateTimeField(null=True)
    cancelled_by = models.CharField(max_length=150, blank=True)
    aborted_at = models.DateTimeField(null=True)
    abort_reason = models.CharField(max_length=300, blank=True)
    finished_at = models.DateTimeField(null=True)
    rolls_back = models.OneToOneField(
        "self", models.SET_NULL, null=True, related_name="rolled_back_by"
    )
    hold_until = models.DateTimeField(
        null=True, help_text="Until then the handsets it moved do not fail back by themselves."
    )

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["id"], name="open_jobs", condition=Q(finished_at__isnull=True))
        ]


class JobResult(models.Model):
    """What became of one registration of a job.

    `wave` says when its turn is: while that has not begun, it is pending and nobody has asked it.
    """

    class Result(models.TextChoices):
        PENDING = "pending", "Waiting"
        MOVED = "moved", "Moved"
        ALREADY_THERE = "already_there", "Was there already"
        REFUSED = "refused", "Refused"
        FAILED = "failed", "Not taken"
        LEFT_OUT = "left_out", "Left out"
        CANCELLED = "cancelled", "Not asked"

    job = models.ForeignKey(Job, models.CASCADE, related_name="results")
    registration = models.ForeignKey(
        Registration, models.SET_NULL, null=True, related_name="job_results"
    )
    group = models.ForeignKey(ServerGroup, models.SET_NULL, null=True, related_name="+")
    mac = models.CharField(max_length=12)
    extension = models.CharField(max_length=64)
    wave = models.PositiveIntegerField(null=True)
    result = models.CharField(max_length=14, choices=Result.choices, default=Result.PENDING)
    reason = models.CharField(max_length=300, blank=True)
    seconds = models.FloatField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["job", "registration"], name="one_result_per_registration"
            ),
            # Also the index by which store.save finds the result an agent's answer belongs to.
            models.UniqueConstraint(
                fields=["registration"],
                name="one_open_failback",
                condition=Q(result="pending"),
            ),
        ]
        indexes = [models.Index(fields=["job", "wave"], name="results_by_wave")]


class Drain(models.Model):
    """A window in which a server holds nobody: they go elsewhere, stay, and come home after it."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="drains")
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    asked_by = models.CharField(max_length=150)
    request_id = models.CharField(max_length=64, blank=True, help_text="Whose log lines go on")
    created_at = models.DateTimeField(db_default=Now())
    ended_by = models.CharField(max_length=150, blank=True)
    abort_above_percent = models.PositiveSmallIntegerField(
        default=5, validators=[MaxValueValidator(100)]
    )
    wave_size = models.PositiveIntegerField(null=True, validators=[MinValueValidator(1)])
    away = models.OneToOneField(Job, models.SET_NULL, null=True, related_name="drains_away")
    sweeps = models.ManyToManyField(
        Job, related_name="sweep_of", help_text="Those that move away who came there after `away`"
    )
    home = models.OneToOneField(Job, models.SET_NULL, null=True, related_name="drains_home")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-begins_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gte=models.F("begins_at")), name="drain_ends_after_it_begins"
            )
        ]
        indexes = [
            models.Index(fields=["id"], name="open_drains", condition=Q(finished_at__isnull=True))
        ]


class QuietHours(models.Model):
    """Hours of the week in which nothing fails back by itself, by the clock of each site.

    For a group, a site, or a group at one site.
    """

    group = models.ForeignKey(ServerGroup, models.CASCADE, null=True, related_name="quiet_hours")
    site = models.ForeignKey(Site, models.CASCADE, null=True, related_name="quiet_hours")
    days = models.CharField(max_length=7, help_text="ISO weekdays on which they begin: 12345")
    begins = models.TimeField()
    ends = models.TimeField(help_text="At or before `begins`: on the next day")
    made_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(group__isnull=False) | Q(site__isnull=False),
                name="quiet_hours_are_somewhere",
            )
        ]
