"""What each server says of each handset when it is only asked."""

from django.db import models
from django.db.models import Q

from fleet import reach
from fleet.models import Server, Site
from registrations.models.registration import Registration


class StandbyProof(models.Model):
    """Whether one server would take one line, by its last answer to a REGISTER without a Contact.

    A row of its own, so that asking never touches the row of the registration.
    """

    class Proof(models.TextChoices):
        """The values of `proving.Proof`. STALE is never stored: queries derive it."""

        PROVED = "proved", "Proved"
        OPEN = "open", "No password asked"
        REFUSED = "refused", "Refused"
        UNKNOWN_AOR = "unknown_aor", "Not known there"
        SILENT = "silent", "Silent"
        UNCLEAR = "unclear", "Unclear answer"
        STALE = "stale", "Too long ago"
        UNASKED = "unasked", "Not asked yet"

    # The constraint and the first index below begin with these two.
    registration = models.ForeignKey(
        Registration, models.CASCADE, related_name="proofs", db_index=False
    )
    server = models.ForeignKey(Server, models.CASCADE, related_name="proofs")
    site = models.ForeignKey(Site, models.CASCADE, related_name="proofs", db_index=False)
    proof = models.CharField(max_length=12, choices=Proof.choices, default=Proof.UNASKED)
    since = models.DateTimeField(null=True, help_text="Since when the answers have been these")
    asked_at = models.DateTimeField(null=True)
    proved_at = models.DateTimeField(null=True, help_text="When it last took the credentials")
    code = models.PositiveSmallIntegerField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    refusals = models.PositiveIntegerField(default=0, help_text="In a row")
    refused_at = models.DateTimeField(null=True)
    is_observed = models.BooleanField(
        default=False, help_text="Its line is only observed: asked as often as its group says"
    )
    contacts = models.JSONField(
        default=list, help_text="Who was bound when it last listed anybody: [[URI, until], ...]"
    )
    others_until = models.DateTimeField(null=True, help_text="When the last of `contacts` ends")
    own_until = models.DateTimeField(
        null=True, help_text="Until when it lists a binding of our own agent; null: it lists none"
    )
    granted_s = models.PositiveIntegerField(
        null=True, help_text="What our agent was granted, where that was far less than it asked for"
    )
    granted_until = models.DateTimeField(null=True, help_text="Until when that lasts")
    bound_at = models.DateTimeField(
        null=True, help_text="When a binding was last seen to have been made or renewed there"
    )
    due_at = models.DateTimeField()
    lease_token = models.UUIDField(null=True)

    objects = reach.Narrowed["StandbyProof"]()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["registration", "server"], name="one_proof_per_line_and_server"
            )
        ]
        indexes = [
            models.Index(fields=["site", "due_at"], name="proofs_claim_due"),
            models.Index(
                fields=["server"],
                name="proofs_not_taken",
                condition=Q(proof__in=("refused", "unknown_aor")),
            ),
            models.Index(
                fields=["refused_at"], name="proofs_refused", condition=Q(refused_at__isnull=False)
            ),
        ]

    @staticmethod
    def of_sites(ids: frozenset[int]) -> Q:
        return Q(site__in=ids)


class ReadinessHour(models.Model):
    """How many lines each server would have taken, counted once an hour."""

    at = models.DateTimeField()
    server = models.ForeignKey(Server, models.CASCADE, related_name="readiness")
    taken = models.PositiveIntegerField()
    not_taken = models.PositiveIntegerField()
    untold = models.PositiveIntegerField()

    objects = reach.Narrowed["ReadinessHour"]()

    class Meta:
        ordering = ["at", "server"]
        indexes = [models.Index(fields=["at"], name="readiness_by_time")]

    @staticmethod
    def of_sites(ids: frozenset[int]) -> Q:
        return Q(pk__in=[])  # it counts those of all sites
