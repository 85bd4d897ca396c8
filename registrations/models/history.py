"""What happened: append-only."""

from django.db import models

from registrations.models.registration import Registration, State


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
