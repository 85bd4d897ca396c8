"""Failover drills: some handsets move away on purpose, stay a while and come home."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from registrations.models.jobs import Job


class Drill(models.Model):
    """An exercise: whether the other servers take these handsets, and the primary again.

    Its evidence is written once, when it is over, and never changed: `digest` is its SHA-256.
    """

    scope = models.JSONField()
    sample = models.PositiveIntegerField(
        null=True, validators=[MinValueValidator(1)], help_text="So many of the scope; empty: all"
    )
    minutes = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(480)], help_text="How long they stay"
    )
    asked_by = models.CharField(max_length=150)
    request_id = models.CharField(max_length=64, blank=True, help_text="Whose log lines go on")
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, help_text="When somebody ended it early")
    ended_by = models.CharField(max_length=150, blank=True)
    abort_above_percent = models.PositiveSmallIntegerField(
        default=5, validators=[MaxValueValidator(100)]
    )
    wave_size = models.PositiveIntegerField(null=True, validators=[MinValueValidator(1)])
    away = models.OneToOneField(Job, models.SET_NULL, null=True, related_name="drill_away")
    home = models.OneToOneField(Job, models.SET_NULL, null=True, related_name="drill_home")
    finished_at = models.DateTimeField(null=True)
    stragglers = models.PositiveIntegerField(
        null=True, help_text="Handsets that had moved and did not come home"
    )
    evidence = models.TextField(blank=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["id"], name="open_drills", condition=Q(finished_at__isnull=True))
        ]
