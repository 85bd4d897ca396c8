"""Lists of handsets that somebody wants again."""

from django.conf import settings
from django.db import models


class SavedView(models.Model):
    """A filter, an order and columns of the list of handsets, by a name; `?view=SLUG` is it.

    Private: its owner's alone. Shared: everybody sees it, configurers keep it. Without an owner
    (who is gone) a private one is nobody's.
    """

    slug = models.SlugField(max_length=70, unique=True)
    name = models.CharField(max_length=60)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="saved_views"
    )
    is_shared = models.BooleanField(default=False)
    query = models.TextField(blank=True, help_text="Filters and `sort`, as a query string.")
    columns = models.JSONField(default=list, help_text="Empty: the columns of whoever looks.")

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name
