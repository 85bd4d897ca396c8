"""What happened to servers: append-only."""

from django.db import models
from django.db.models import Q

from fleet import reach
from fleet.models import Server, Site


class ServerChange(models.Model):
    """One change of what was known of a server. Names are copied: history outlives rows.

    Whether it answers is known site by site; a sickness or a pause is the server's everywhere,
    and has no site.
    """

    class What(models.TextChoices):
        UP = "up", "Answers"
        SILENT = "silent", "Silent"
        UNKNOWN = "unknown", "Nobody asked"
        SICK = "sick", "Refuses handsets it accepted before"
        WELL = "well", "Accepts handsets again"
        PAUSED = "paused", "Asked to be left alone"

    at = models.DateTimeField()
    server = models.ForeignKey(Server, models.SET_NULL, null=True, related_name="changes")
    site = models.ForeignKey(Site, models.SET_NULL, null=True, related_name="server_changes")
    server_name = models.CharField(max_length=300)
    group_name = models.CharField(max_length=80)
    site_name = models.CharField(max_length=60, blank=True)
    what = models.CharField(max_length=8, choices=What.choices)
    before = models.CharField(
        max_length=8, choices=What.choices, help_text="What was known until then"
    )
    until = models.DateTimeField(null=True, help_text="When a pause ends")
    reason = models.CharField(max_length=300, blank=True)

    objects = reach.Narrowed["ServerChange"]()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["-at", "-id"], name="server_changes_by_time"),
            models.Index(fields=["server", "-at"], name="server_changes_by_server"),
        ]

    @staticmethod
    def of_sites(ids: frozenset[int]) -> Q:
        everywhere = Server._base_manager.filter(Server.of_sites(ids)).values("pk")
        return Q(site__in=ids) | Q(site=None, site_name="", server__in=everywhere)
