"""Who may watch a wallboard without a log-in: one row per screen."""

from django.db import models
from django.db.models.functions import Now

from fleet.models import ServerGroup, Site


class WallboardToken(models.Model):
    """A key in the URL of one screen. The key itself is told once; only its digest is kept."""

    name = models.CharField(max_length=80, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    groups = models.ManyToManyField(ServerGroup, blank=True)
    sites = models.ManyToManyField(Site, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=150)
    used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
