"""What is known of servers and of sites' networks, and when REGISTERs may leave."""

from django.db import models
from django.db.models import Q

from fleet import reach
from fleet.models import Server, Site
from registrations.models.registration import Registration


class ServerHealth(models.Model):
    """What one site's workers know of one server, from probes and from the agents' own outcomes."""

    class Condition(models.TextChoices):
        UNKNOWN = "unknown", "Not asked yet"
        UP = "up", "Answers"
        SILENT = "silent", "Silent"

    server = models.ForeignKey(Server, models.CASCADE, related_name="health")
    site = models.ForeignKey(Site, models.CASCADE, related_name="health")
    condition = models.CharField(max_length=8, choices=Condition.choices, default=Condition.UNKNOWN)
    since = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)
    successes = models.PositiveIntegerField(default=0)
    good_since = models.DateTimeField(null=True, help_text="When the run of good answers began")
    register_missed = models.BooleanField(
        default=False, help_text="A REGISTER went unanswered since one was answered"
    )
    is_told = models.BooleanField(
        default=False, help_text="Its silence was told to the handsets of fast_failover groups"
    )
    heard_at = models.DateTimeField(null=True)
    noticed_at = models.DateTimeField(
        null=True, help_text="When it last answered or failed to: it was looked at then"
    )
    silent_at = models.DateTimeField(
        null=True, help_text="When what it last let pass unanswered had left, while it was silent"
    )
    last_answer = models.CharField(max_length=300, blank=True)
    due_at = models.DateTimeField()
    lease_token = models.UUIDField(null=True)

    objects = reach.Narrowed["ServerHealth"]()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server", "site"], name="one_health_per_server_site")
        ]

    @staticmethod
    def of_sites(ids: frozenset[int]) -> Q:
        return Q(site__in=ids)


class SiteNetwork(models.Model):
    """Whether a site's own network is suspected: all its servers fell silent at once."""

    site = models.OneToOneField(Site, models.CASCADE, related_name="network")
    suspected_since = models.DateTimeField(null=True)

    objects = reach.Narrowed["SiteNetwork"]()

    @staticmethod
    def of_sites(ids: frozenset[int]) -> Q:
        return Q(site__in=ids)


class ServerAcceptance(models.Model):
    """A server has accepted this handset before; `refused_at` if it has refused it since."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="acceptances")
    registration = models.ForeignKey(Registration, models.CASCADE, related_name="acceptances")
    refused_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["server", "registration"], name="one_acceptance_per_handset"
            )
        ]
        indexes = [
            models.Index(
                fields=["server", "refused_at"],
                name="health_refusals",
                condition=Q(refused_at__isnull=False),
            )
        ]


class ServerPace(models.Model):
    """When REGISTERs may go to a server; every worker reserves its slots here.

    A server that is *sick* refuses handsets it accepted before.
    """

    server = models.OneToOneField(Server, models.CASCADE, related_name="pace")
    next_at = models.FloatField(default=0.0, help_text="Unix seconds of the first free slot")
    sick_since = models.DateTimeField(null=True)
    refused = models.PositiveIntegerField(
        default=0, help_text="Handsets it had refused when it was found sick"
    )


class ServerPause(models.Model):
    """A place of a server that asked to be left alone (503 with Retry-After)."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="pauses")
    address = models.CharField(max_length=45, help_text="IP address, as targets have it")
    port = models.PositiveIntegerField()
    until = models.FloatField(help_text="Unix seconds")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["server", "address", "port"], name="one_pause_per_place"
            )
        ]

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"
