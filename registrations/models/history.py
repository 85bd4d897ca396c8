"""What happened: append-only, until it is older than what is kept."""

from django.db import models
from django.db.models import Q

from fleet import reach
from fleet.models import Site
from registrations.models.registration import Registration, State


class Transition(models.Model):
    """One change of (state, server). Append-only; names are copied: history outlives rows.

    `registration` stays when its row is gone: it is what holds the changes of one line together.
    """

    registration = models.ForeignKey(
        Registration,
        models.DO_NOTHING,
        null=True,
        related_name="transitions",
        db_constraint=False,
        db_index=False,
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
    detect_seconds = models.FloatField(
        null=True,
        help_text="From the last good answer of the server that was left to the first request "
        "that told: how long it can have been away unnoticed, at most",
    )
    seconds = models.FloatField(
        null=True, help_text="From the first request of this change to the answer that ended it"
    )
    asked_by = models.CharField(max_length=150, blank=True)

    objects = reach.Narrowed["Transition"]()

    class Meta:
        ordering = ["-at", "-id"]
        # One for each filter that may leave little of a year: each also gives the order.
        indexes = [
            models.Index(fields=["-at", "-id"], name="history_by_time"),
            models.Index(fields=["mac", "-at", "-id"], name="history_by_mac"),
            models.Index(fields=["registration", "-at", "-id"], name="history_by_registration"),
            models.Index(fields=["group_name", "-at", "-id"], name="history_by_group"),
            models.Index(fields=["site_name", "-at", "-id"], name="history_by_site"),
            models.Index(fields=["to_state", "-at", "-id"], name="history_by_state"),
            models.Index(fields=["cause", "-at", "-id"], name="history_by_cause"),
        ]

    @staticmethod
    def of_sites(ids: frozenset[int]) -> Q:
        return Q(site_name__in=Site._base_manager.filter(pk__in=ids).values("name"))


class RenewalHour(models.Model):
    """How often the handsets of a group renewed at a server within one hour, by copied names.

    Renewals change nothing, so they are counted and not kept one by one.
    """

    hour = models.DateTimeField()
    group_name = models.CharField(max_length=80)
    server = models.CharField(max_length=300)
    renewals = models.PositiveIntegerField(default=0)

    objects = reach.Narrowed["RenewalHour"]()

    class Meta:
        ordering = ["-hour", "group_name", "server"]
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "group_name", "server"], name="one_count_of_renewals_per_hour"
            )
        ]

    @staticmethod
    def of_sites(ids: frozenset[int]) -> Q:
        return Q(pk__in=[])  # it counts those of all sites
