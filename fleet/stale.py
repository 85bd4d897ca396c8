"""Against lost updates: whoever changes a thing says which version of it they had before them.

A version is a digest of what is shown, not a counter: so it is right whoever wrote, an import in
one statement included, and somebody who changed nothing stands in nobody's way.
"""

import json
from hashlib import blake2b
from typing import TypeVar

from django.contrib.auth.models import AbstractUser
from django.db.models import Model, QuerySet

from fleet.models import Handset, Server, ServerGroup

M = TypeVar("M", bound=Model)

_UNSEEN = frozenset(
    {"auth_password", "password", "secret", "search_text"}
    | {"waits", "created_at", "last_login", "told"}
)
"""What is never shown, or nobody's change. A password replaces another, whatever that was."""


class Stale(Exception):
    """Somebody changed it since the asker saw it; the text is a sentence."""


def version(thing: Model) -> str:
    """Return 16 hex digits that are others as soon as anything shown of `thing` is."""
    shown: list[object] = [
        getattr(thing, field.attname)
        for field in thing._meta.concrete_fields
        if field.name not in _UNSEEN
    ]
    if isinstance(thing, ServerGroup):
        parts = [*thing.servers.all(), *thing.dns_records.all()]
        shown += [version(part) for part in parts]
    elif isinstance(thing, AbstractUser):
        shown += sorted(limit.site_id for limit in thing.site_limits.all())
    elif isinstance(thing, Handset):
        shown += sorted(line.pk for line in thing.lines.all())
    for many in thing._meta.many_to_many:
        shown.append(sorted(other.pk for other in getattr(thing, many.name).all()))
    return blake2b(json.dumps(shown, default=str).encode(), digest_size=8).hexdigest()


def held(rows: QuerySet[M], pk: int, seen: str | None) -> M:
    """Return this row of `rows`, as it is now, and let nobody else change it in this transaction.

    `seen` is the version the asker had before them; None: whatever it is. Raises Stale where it is
    another by now, and the model's DoesNotExist.
    """
    if rows.model is Server:
        # First of all its group, as `inventory.place_server` does: it moves the others too.
        groups = ServerGroup.objects.select_for_update(of=("self",)).order_by()
        groups.filter(servers=pk).first()
    thing = rows.select_for_update(of=("self",)).get(pk=pk)
    if seen is not None and version(thing) != seen:
        raise Stale("Somebody changed this since you read it. Read it again, then decide.")
    return thing
