"""Where handsets report what happens to them, and what they reported last."""

from django.db import models
from django.db.models.functions import Now

from fleet.fields import EncryptedTextField
from fleet.models import Handset


class NotificationAddress(models.Model):
    """The address of one handset's reports. Its key is a secret: it is in the handset's own file.

    `events` has the latest first: kind, line, told_at (the handset's clock), at, sender, and as
    agent what it called itself.
    """

    handset = models.OneToOneField(Handset, models.CASCADE, related_name="notification_address")
    key = EncryptedTextField()
    digest = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField(db_default=Now())
    made_by = models.CharField(max_length=150)
    heard_at = models.DateTimeField(null=True)
    events = models.JSONField(default=list)

    class Meta:
        ordering = ["handset"]

    def __str__(self) -> str:
        return str(self.handset)
