"""What is kept of an import while somebody looks at it and while it is done."""

from django.db import models
from django.db.models.functions import Now


class ImportJob(models.Model):
    """An import somebody asked for: looked through first, then done if they say so.

    It is rows, not a process: whoever holds its lease works on it.
    """

    class Step(models.TextChoices):
        LOOK = "look", "Look through"
        APPLY = "apply", "Import"

    asked_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())
    files = models.JSONField(default=list, help_text="Names and sizes")
    site = models.CharField(max_length=60, blank=True)
    partial = models.BooleanField(default=False, help_text="What is right without the rest")
    step = models.CharField(max_length=5, choices=Step.choices, default=Step.LOOK)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    found = models.JSONField(default=dict, help_text="Counts, changes by name, faults and notes")
    is_refused = models.BooleanField(default=False, help_text="There is nothing to import in it")
    looked_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=300, blank=True)
    lease_token = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Import {self.pk}"


class ImportPart(models.Model):
    """A piece of the files, encrypted: there are passwords in them. Gone when all is done."""

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="one_import_part_of_each_number")
        ]
