"""What is kept of users beside Django's own rows: how they log in, and their programs' tokens."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

DIRECTORY = "ldap"
"""Issuer of those who log in by the LDAP directory; other issuers are addresses."""


class Account(models.Model):
    """How a user logs in, where it is not just by password; who has none of it has no row."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="account"
    )
    must_change_password = models.BooleanField(default=False, db_default=False)
    sessions_ended_at = models.DateTimeField(
        null=True, help_text="Sessions that had begun before are over."
    )
    issuer = models.CharField(
        max_length=255,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Of the identity provider they log in by; empty: by password.",
    )
    subject = models.CharField(
        max_length=255,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Who they are there, whatever they are called.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "subject"],
                condition=~models.Q(subject=""),
                name="account_of_one_subject",
            )
        ]

    def __str__(self) -> str:
        return str(self.user)

    @property
    def way(self) -> str:
        """By what they log in; '' by a password that is kept here."""
        if not self.subject:
            return ""
        return "the directory" if self.issuer == DIRECTORY else "single sign-on"


class SiteLimit(models.Model):
    """A user sees this site and others of theirs alone; who has none of these sees all.

    What would be everything without the last one, so a site that somebody is limited to stays.
    Admins see all sites, whatever rows they have.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="site_limits")
    site = models.ForeignKey("fleet.Site", models.PROTECT, related_name="limits")

    class Meta:
        ordering = ["user", "site__name"]
        constraints = [
            models.UniqueConstraint(fields=["user", "site"], name="one_limit_per_user_and_site")
        ]

    def __str__(self) -> str:
        return f"{self.user} to {self.site}"


class ApiToken(models.Model):
    """A key of a user's program. The key itself is told once; only its digest is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    role = models.PositiveSmallIntegerField(
        help_text="The most it may (fleet.roles.Role); never more than its user may."
    )
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=150)
    expires_at = models.DateTimeField(null=True, help_text="Empty: it does not expire.")
    used_at = models.DateTimeField(null=True, editable=False, help_text="To a few minutes")

    class Meta:
        ordering = ["user__username", "name", "pk"]

    def __str__(self) -> str:
        return self.name
