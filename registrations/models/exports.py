"""Exports made in the background: what was asked, how far it is, and the file in parts."""

from django.db import models
from django.db.models.functions import Now


class ExportJob(models.Model):
    """An export somebody asked for. It is rows, not a process: whoever holds its lease makes it."""

    kind = models.CharField(max_length=20)
    query = models.TextField(blank=True, help_text="Its filter and format, as an address has them")
    asked_by = models.CharField(max_length=150)
    request_id = models.CharField(max_length=64, blank=True, help_text="Whose log lines go on")
    created_at = models.DateTimeField(db_default=Now())
    rows = models.PositiveIntegerField(null=True)
    done = models.PositiveIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes of the file so far")
    filename = models.CharField(max_length=100, blank=True)
    headers = models.JSONField(default=dict)
    finished_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=300, blank=True)
    lease_token = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]


class ExportPart(models.Model):
    """A piece of the file, compressed. In the database, where every web process can read it."""

    job = models.ForeignKey(ExportJob, models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="one_part_of_each_number")
        ]
