"""Single sign-on by OpenID Connect: the way to the identity provider and back, and who came.

Nothing is stored meanwhile: what the way back is held against goes with the browser, signed, so
that nobody fills the database by setting out again and again.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import requests
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.django_client import OAuth
from django.conf import settings
from django.core import signing
from django.utils.crypto import constant_time_compare
from joserfc.errors import JoseError

from fleet.roles import Role

SECONDS = 600
"""For so long somebody may take to log in there."""

ANSWER_SECONDS = 10
LEEWAY_SECONDS = 60
"""By which the provider's clock may differ."""

SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""By keys that the provider alone has; so neither `none` nor what a client's secret signs."""

_SALT = "fleet.oidc"

log = structlog.get_logger(__name__)


class Refused(Exception):
    """Nobody comes in; the text is the sentence that says why."""


class Visitor(NamedTuple):
    """Who came, as the provider signed it."""

    subject: str
    name: str
    role: Role | None


def is_offered() -> bool:
    """Whether there is a provider."""
    return bool(settings.OIDC.issuer)


def begin(back: str, then: str) -> tuple[str, str]:
    """Return where to send the browser, and the ticket it comes back with. Raises Refused.

    `back` is the address it comes back to, `then` what was asked for before.
    """
    with _asking():
        way = _provider().create_authorization_url(back)
    ticket = {name: way[name] for name in ("state", "nonce", "code_verifier")}
    return way["url"], signing.dumps({**ticket, "then": then}, salt=_SALT)


def arrive(back: str, given: Mapping[str, str], ticket: str) -> tuple[Visitor, str]:
    """Return who came back by the address `back` with these parameters, and `then` of `begin`.

    Raises Refused where the ticket is another one's or old, where the provider refused, and where
    what it signed is not for us, not for this log-in, or not its own.
    """
    try:
        kept = signing.loads(ticket, salt=_SALT, max_age=SECONDS)
    except signing.BadSignature:
        kept = None
    if kept is None or not constant_time_compare(kept["state"], given.get("state", "")):
        raise Refused("This log-in was not begun in this browser, or too long ago: begin again.")
    if "code" not in given:
        log.info("single sign-on refused", why=given.get("error", "")[:100])
        raise Refused("The identity provider did not let you in.")
    with _asking():
        verifier = kept["code_verifier"]
        provider = _provider()
        token = provider.fetch_access_token(back, code=given["code"], code_verifier=verifier)
        claims = provider.parse_id_token(
            token, kept["nonce"], claims_options=_expected(), leeway=LEEWAY_SECONDS
        )
        return _visitor(claims or {}), kept["then"]


def _expected() -> dict[str, Any]:
    about = settings.OIDC
    return {
        "iss": {"essential": True, "value": about.issuer},
        "aud": {"essential": True, "value": about.client_id},
    }


def _visitor(claims: Mapping[str, Any]) -> Visitor:
    subject, name = claims.get("sub"), claims.get("preferred_username")
    if not name and claims.get("email_verified", True):
        name = claims.get("email")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise ValueError("no subject")
    if not isinstance(name, str) or not name:
        raise Refused("The identity provider tells no name of yours: preferred_username or email.")
    held = claims.get(settings.OIDC.role_claim)
    values = held if isinstance(held, list) else [held]
    roles = [Role[word.upper()] for value, word in settings.OIDC.roles if value in values]
    return Visitor(subject, name, max(roles, default=None))


def _provider() -> Any:
    about = settings.OIDC
    provider = _client(about.issuer, about.client_id, about.client_secret, about.scopes)
    metadata = provider.load_server_metadata()
    if metadata.get("issuer") != about.issuer:
        _client.cache_clear()
        raise ValueError(f"it calls itself {metadata.get('issuer')!r}")
    metadata["id_token_signing_alg_values_supported"] = list(SIGNATURES)
    return provider


@lru_cache(maxsize=1)
def _client(issuer: str, client_id: str, client_secret: str, scopes: str) -> Any:
    return OAuth().register(
        "oidc",
        client_id=client_id,
        client_secret=client_secret,
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": scopes,
            "code_challenge_method": "S256",
            "default_timeout": ANSWER_SECONDS,
        },
    )


@contextmanager
def _asking() -> Iterator[None]:
    """Whatever the provider does wrong is one line in the log, and a sentence on the page."""
    try:
        yield
    except requests.RequestException as error:
        log.warning("the identity provider cannot be asked", why=str(error))
        raise Refused("The identity provider does not answer: try again, or by password.") from None
    except (AuthlibBaseError, JoseError, ValueError, TypeError, KeyError, RuntimeError) as error:
        log.warning("the identity provider's answer does not hold", why=str(error))
        raise Refused(
            "The identity provider's answer does not hold, so nobody is logged in. An admin finds "
            "in the log why."
        ) from None
