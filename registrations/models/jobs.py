"""Orders of operators and what became of each handset in them."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from registrations.models.registration import Registration


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
