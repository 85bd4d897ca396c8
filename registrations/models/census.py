"""How many were where, minute by minute: what charts stand on. Append-only."""

from django.db import models
from django.db.models import Q

from fleet import reach
from fleet.models import ServerGroup


class Census(models.Model):
    """The fleet, or one group, as it was shown in one minute.

    A minute without a row was not counted: nobody knows, and it is drawn as a gap.
    """

    at = models.DateTimeField(help_text="The minute's beginning")
    group = models.ForeignKey(
        ServerGroup, models.CASCADE, null=True, related_name="censuses", help_text="None: the fleet"
    )
    states = models.JSONField(help_text="How many by shown state, those with nobody left out")
    servers = models.JSONField(
        default=dict, help_text="The same by server id, of those a server of this group holds"
    )

    objects = reach.Narrowed["Census"]()

    class Meta:
        ordering = ["at"]
        indexes = [models.Index(fields=["at"], name="census_by_time")]
        constraints = [
            models.UniqueConstraint(
                fields=["at"], name="one_census_of_the_fleet", condition=Q(group=None)
            ),
            models.UniqueConstraint(
                fields=["group", "at"], name="one_census_of_a_group", condition=~Q(group=None)
            ),
        ]

    @staticmethod
    def of_sites(ids: frozenset[int]) -> Q:
        return Q(pk__in=[])  # it counts those of all sites
