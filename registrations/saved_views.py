"""Saved views of the list of handsets: who sees which, who may change it, what an address means.

`?view=SLUG` stands for the view's own filter and order. What else the address says wins, field by
field. A list that began as a view and was changed says `from=SLUG` instead.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.text import slugify

from fleet import reach
from fleet.roles import Role, has_role
from registrations import queries
from registrations.models import SavedView

User = AbstractBaseUser | AnonymousUser

KEPT = (*queries.RegistrationFilter.base_filters, "sort")
"""The fields of an address that a view keeps."""


class NoSuchView(ValueError):
    """There is none by that slug that this user may see; the text is a sentence."""


class ViewRefused(Exception):
    """It may not be done so; the text is a sentence."""


def visible_to(user: User) -> QuerySet[SavedView]:
    """Return the shared views and the user's own, by name.

    Who is limited to sites sees only their own: others are named after what others see.
    """
    own = Q(owner=user.pk, owner__isnull=False)
    shared = Q(is_shared=True) if reach.sites() is None else Q(pk__in=[])
    return SavedView.objects.filter(shared | own)


def find(slug: str, user: User) -> SavedView:
    """Return the view. Raises NoSuchView."""
    view = visible_to(user).filter(slug=slug).first()
    if view is None:
        raise NoSuchView(f"There is no view {slug!r}, or it is somebody else's own.")
    return view


def may_change(view: SavedView, user: User) -> bool:
    """A shared view is the configurers', a private one its owner's."""
    return has_role(user, Role.CONFIGURER) if view.is_shared else view.owner_id == user.pk


def resolved(given: QueryDict, user: User) -> tuple[QueryDict, SavedView | None]:
    """Return what an address asks for in full, without `view`, and the view it names.

    Raises NoSuchView.
    """
    slug = given.get("view", "")
    view = find(slug, user) if slug else None
    params = QueryDict(view.query if view else "", mutable=True)
    for field, values in given.lists():
        if field != "view":
            params.setlist(field, values)
    return params, view


def kept(params: QueryDict) -> str:
    """Return the part of an address that a view keeps, as a query string."""
    return only(params, KEPT)


def only(params: QueryDict, fields: Iterable[str]) -> str:
    """Return these fields of an address as a query string, empty values left out."""
    query = QueryDict(mutable=True)
    for field in fields:
        if values := [value for value in params.getlist(field) if value]:
            query.setlist(field, values)
    return query.urlencode()


def save(user: Any, name: str, params: QueryDict, columns: list[str], shared: bool) -> SavedView:
    """Keep a list under a name, with a slug that is free. Raises ViewRefused."""
    name = _checked(name, shared, user)
    view = SavedView(name=name, owner=user, is_shared=shared, query=kept(params), columns=columns)
    stem = slugify(name)[:60] or "view"
    for n in range(1, 1000):
        view.slug = stem if n == 1 else f"{stem}-{n}"
        try:
            with transaction.atomic():
                view.save(force_insert=True)
        except IntegrityError:
            continue
        return view
    raise ViewRefused("There are too many views of that name: choose another.")


def change(view: SavedView, user: User, name: str, shared: bool) -> None:
    """Rename it, share it or take it back; its slug stays. Raises ViewRefused."""
    _allow(view, user)
    view.name = _checked(name, shared or view.is_shared, user)
    if view.is_shared and not shared:
        view.owner_id = user.pk
    view.is_shared = shared
    view.save(update_fields=["name", "is_shared", "owner"])


def replace(view: SavedView, user: User, params: QueryDict, columns: list[str]) -> None:
    """Let it be the list as it is now. Raises ViewRefused."""
    _allow(view, user)
    view.query, view.columns = kept(params), columns
    view.save(update_fields=["query", "columns"])


def delete(view: SavedView, user: User) -> None:
    """Raises ViewRefused."""
    _allow(view, user)
    view.delete()


def _allow(view: SavedView, user: User) -> None:
    if not may_change(view, user):
        raise ViewRefused("A shared view is changed by configurers only.")


def _checked(name: str, shared: bool, user: User) -> str:
    plain = " ".join(name.split())
    if not plain or len(plain) > 60 or not plain.isprintable():
        raise ViewRefused("Give the view a name of 1 to 60 letters.")
    if shared and not has_role(user, Role.CONFIGURER):
        raise ViewRefused("To share a view needs the role Configurer.")
    return plain
