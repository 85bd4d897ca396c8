"""Whose rows: what is there for a user who is limited to some sites.

A role says what somebody may do (`fleet.roles`); this says to which rows. It stands where rows are
chosen, in the managers of the models: while somebody is served who is limited, what is not of
their sites is not there. By its id it is not found, lists and sums leave it out, no order reaches
it. Workers, commands and whoever is not limited see everything.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db import models

Sites = frozenset[int] | None
"""Ids; None is everything."""

LIMITED = "Your account is limited to sites; this shows or changes the whole installation."

_sites: ContextVar[Sites] = ContextVar("sites_within_reach", default=None)

_M = TypeVar("_M", bound=models.Model)
_R = TypeVar("_R", bound="models.QuerySet[Any]")
_T = TypeVar("_T")


def sites() -> Sites:
    """Return the sites of whoever is served here."""
    return _sites.get()


def enter(ids: Sites) -> None:
    """From here on, until the `limited_to` around it ends, serve somebody with these sites."""
    _sites.set(ids)


@contextmanager
def limited_to(ids: Sites) -> Iterator[None]:
    """What is asked inside is asked by somebody with these sites."""
    before = _sites.set(ids)
    try:
        yield
    finally:
        _sites.reset(before)


def everything() -> AbstractContextManager[None]:
    """What is asked inside is asked by Rollcall itself, to decide something: not to be shown."""
    return limited_to(None)


def carried(parts: Iterator[_T]) -> Iterator[_T]:
    """Return `parts` as they are made for whoever is served now, whenever they are read."""
    return _carried(parts, sites())


def _carried(parts: Iterator[_T], ids: Sites) -> Iterator[_T]:
    try:
        while True:
            # Around each part alone: in between, whoever reads them is served.
            with limited_to(ids):
                try:
                    part = next(parts)
                except StopIteration:
                    return
            yield part
    finally:
        if (close := getattr(parts, "close", None)) is not None:
            close()


def of(rows: _R) -> _R:
    """Return those of `rows` within reach. `of_sites(ids)` of their model says which those are."""
    ids = sites()
    return rows if ids is None else rows.filter(rows.model.of_sites(ids))  # type: ignore[attr-defined]


class Narrowed(models.Manager[_M]):
    """The rows within reach."""

    def get_queryset(self) -> models.QuerySet[_M]:
        return of(super().get_queryset())
