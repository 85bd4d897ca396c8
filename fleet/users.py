"""Users: made, given a role, let out and in again; those of an identity provider too."""

import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import structlog
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet

from fleet import sessions
from fleet.people import DIRECTORY, Account, SiteLimit
from fleet.roles import Role, role_of

PROVIDER = "the identity provider"

TAKEN = "There is a user of that name already."

READABLE = "abcdefghjkmnpqrstuvwxyz23456789"
"""Characters that nobody takes for another one."""

log = structlog.get_logger(__name__)


class Refused(ValueError):
    """It must not be; the text is the sentence that says why."""


def every() -> QuerySet[Any]:
    """Return all users with their account and role."""
    users = get_user_model()._default_manager.select_related("account")
    return users.prefetch_related("groups").order_by("username")


def listed() -> QuerySet[Any]:
    """Return all users with what their list shows. Four queries."""
    limited = every().prefetch_related("site_limits__site")
    return limited.annotate(tokens=Count("api_tokens"))


def role_held(user: Any) -> Role | None:
    """Return the role of one of `every`: of who is out too, for when they are let in again."""
    if user.is_superuser:
        return Role.ADMIN
    names = {group.name for group in user.groups.all()}
    return max((role for role in Role if role.group_name in names), default=None)


def new_name(given: str) -> str:
    """Return it as it is kept. Raises ValidationError where nobody can be called so, or is."""
    users = get_user_model()
    name = str(users.normalize_username(given))
    users._meta.get_field("username").run_validators(name)
    if users._default_manager.filter(username__iexact=name).exists():
        raise ValidationError(TAKEN)
    return name


@transaction.atomic
def make(name: str, password: str | None, role: Role) -> Any:
    """Make a user with one role. Name and password are validated; None: no password opens it."""
    user = get_user_model()._default_manager.create_user(name, password=password)
    user.groups.add(Group.objects.get(name=role.group_name))
    return user


def invite(name: str, role: Role, password: str, *, by: str, sites: Iterable[int] = ()) -> Any:
    """Make a user who begins with this password and has to choose another. Raises Refused.

    With `sites`, by their ids, one who sees these alone.
    """
    try:
        with transaction.atomic():
            user = make(name, password, role)
            Account.objects.create(user=user, must_change_password=True)
            set_sites(user, sites, by=by)
    except IntegrityError:
        raise Refused(TAKEN) from None
    log.info("user made", user=name, role=role.word, by=by)
    return user


@transaction.atomic
def set_role(user: Any, role: Role, *, by: str) -> None:
    """Give `user` this role and no other. Raises Refused."""
    _keep_to_the_provider(user)
    if role != Role.ADMIN:
        _keep_an_admin(user)
    _give(user, role, by=by)


@transaction.atomic
def set_sites(user: Any, sites: Iterable[int], *, by: str) -> None:
    """Let `user` see these sites alone, by their ids; with none, all. Raises Refused."""
    wanted = set(sites)
    if wanted and role_held(user) == Role.ADMIN:
        raise Refused(f"{user.get_username()} is an admin, and admins see all sites.")
    had = set(SiteLimit.objects.filter(user=user).values_list("site", flat=True))
    for site in sorted(wanted - had):
        SiteLimit.objects.create(user=user, site_id=site)
    SiteLimit.objects.filter(user=user, site__in=had - wanted).delete()
    if wanted != had:
        log.info("sites given", user=user.get_username(), sites=sorted(wanted), by=by)


@transaction.atomic
def set_active(user: Any, is_active: bool, *, by: str) -> None:
    """Let `user` in, or out: then their sessions and tokens open nothing. Raises Refused."""
    if not is_active:
        _keep_an_admin(user)
        sessions.end_all(user, by=by)
    user.is_active = is_active
    user.save(update_fields=["is_active"])
    log.info("user let in" if is_active else "user let out", user=user.get_username(), by=by)


@transaction.atomic
def give_password(user: Any, password: str, *, by: str) -> None:
    """Let them begin with this one and choose another; their sessions end. Raises Refused."""
    _keep_to_the_provider(user)
    user.set_password(password)
    user.save(update_fields=["password"])
    Account.objects.update_or_create(user=user, defaults={"must_change_password": True})
    log.info("password reset", user=user.get_username(), by=by)


def password_changed(user: Any) -> None:
    """They chose one themselves."""
    Account.objects.filter(user=user).update(must_change_password=False)


def is_local(name: str) -> bool:
    """Whether a user here has that name, in any case of letters, and is not the directory's."""
    named = get_user_model()._default_manager.filter(username__iexact=name)
    return named.exclude(account__issuer=DIRECTORY).exists()


def come_in(issuer: str, subject: str, name: str, role: Role | None) -> Any:
    """Return the user whom the identity provider means, with the role they have there now.

    It is the subject that tells who they are: whoever has that name here already keeps it. Who has
    no role there has none here from now on. Raises Refused.
    """
    user = _known(issuer, subject)
    if role is None:
        if user is not None:
            _give(user, None, by=PROVIDER)
            sessions.end_all(user, by=PROVIDER)
        raise Refused(
            "The identity provider gives you no role in Rollcall: ask whoever keeps your account."
        )
    if user is None:
        return _make_of_provider(issuer, subject, name, role)
    if not user.is_active:
        raise Refused(f"{user.get_username()} is deactivated in Rollcall: ask an admin.")
    if user.is_superuser or role_of(user) != role:
        _give(user, role, by=PROVIDER)
    return user


def _known(issuer: str, subject: str) -> Any:
    account = Account.objects.filter(issuer=issuer, subject=subject).select_related("user").first()
    return account.user if account is not None else None


def _make_of_provider(issuer: str, subject: str, name: str, role: Role) -> Any:
    users = get_user_model()
    name = users.normalize_username(name)
    try:
        users._meta.get_field("username").run_validators(name)
    except ValidationError:
        raise Refused(
            "The identity provider's name for you cannot be a user name here: letters, digits and "
            "@ . + - _ only, at most 150."
        ) from None
    # Whoever comes in twice at once is made by one of the two, at any moment from here on.
    with suppress(IntegrityError), transaction.atomic():
        if not users._default_manager.filter(username__iexact=name).exists():
            user = make(name, None, role)
            user.account = Account.objects.create(user=user, issuer=issuer, subject=subject)
            log.info("user made", user=name, role=role.word, by=PROVIDER)
            return user
    user = _known(issuer, subject)
    if user is None:
        raise Refused(
            f"There is another user named {name} here, and nobody takes over another's account: "
            "an admin has to delete or rename that one first."
        )
    return user


@transaction.atomic
def _give(user: Any, role: Role | None, *, by: str) -> None:
    if user.is_superuser:
        user.is_superuser = False
        user.save(update_fields=["is_superuser"])
    user.groups.set([Group.objects.get(name=role.group_name)] if role else [])
    word = role.word if role else "none"
    log.info("role given", user=user.get_username(), role=word, by=by)


def _keep_to_the_provider(user: Any) -> None:
    account = Account.objects.filter(user=user).first()
    if account is not None and account.way:
        raise Refused(
            f"{user.get_username()} logs in by {account.way}: role and password are kept there."
        )


def hold_admins() -> set[int]:
    """Return who may do everything, and let nobody change that in this transaction."""
    # Locked, so that two admins who do this to each other do not both succeed.
    users = get_user_model()._default_manager.select_for_update(of=("self",)).order_by("pk")
    admins = Q(is_superuser=True) | Q(groups__name=Role.ADMIN.group_name)
    return set(users.filter(admins, is_active=True).values_list("pk", flat=True))


def _keep_an_admin(user: Any) -> None:
    if role_of(user) == Role.ADMIN and hold_admins() <= {user.pk}:
        raise Refused(f"{user.get_username()} is the only admin: make somebody else admin first.")


def temporary_password() -> str:
    """Three groups of five, 74 random bits: to be read aloud and typed."""
    return "-".join("".join(secrets.choice(READABLE) for _ in range(5)) for _ in range(3))
