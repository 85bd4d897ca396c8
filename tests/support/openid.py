"""A real OpenID Connect provider on loopback: discovery, keys, codes with PKCE, signed tokens."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT, SECRET = "rollcall", "of the client"


class Provider:
    """Who logs in there is whom `claims` describe. What else it says can be made wrong."""

    def __init__(self, host: str, port: int) -> None:
        self.issuer = f"http://{host}:{port}"
        self.calls_itself = self.issuer
        self.claims: dict[str, Any] = {}
        self.wrong: dict[str, Any] = {}
        """Claims that it signs instead of the right ones; None: left out."""
        self.refuses = ""
        self.key = self.signs_with = self._key()
        self.algorithm = "RS256"
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[dict[str, str]] = []

    @staticmethod
    def _key() -> RSAKey:
        return RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})

    def takes_new_keys(self) -> None:
        self.key = self.signs_with = self._key()

    def forges(self) -> None:
        """Sign with a key of that name which is not the published one."""
        forged = RSAKey.generate_key(2048, {"kid": self.key.kid})
        self.signs_with = forged

    def signs_with_the_clients_secret(self) -> None:
        self.signs_with = OctKey.import_key(SECRET * 4, {"kid": self.key.kid})  # type: ignore[assignment]
        self.algorithm = "HS256"

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.calls_itself,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
        }

    def keys(self) -> dict[str, Any]:
        return {"keys": [self.key.as_dict(private=False)]}

    def authorize(self, asked: dict[str, str]) -> str:
        """Return where the browser is sent back to."""
        self.asked.append(asked)
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256" and "openid" in asked["scope"].split()
        if self.refuses:
            back = {"error": self.refuses}
        else:
            back = {"code": secrets.token_urlsafe(16)}
            self.codes[back["code"]] = asked
        return f"{asked['redirect_uri']}?{urlencode({**back, 'state': asked['state']})}"

    def token(self, asked: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Give a code's token, once, to the client that proves that it began."""
        known = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        begun = self.codes.pop(asked.get("code", ""), None)
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if unquote(authorization) != f"Basic {known}":
            return 401, {"error": "invalid_client"}
        if (
            begun is None
            or begun["code_challenge"] != challenge
            or begun["redirect_uri"] != asked["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        signed = self.signed(begun["nonce"])
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": signed}

    def signed(self, nonce: str) -> str:
        now = int(time.time())
        times = {"iat": now, "exp": now + 300}
        about = {"iss": self.issuer, "aud": CLIENT, "nonce": nonce, **times}
        said = {**about, **self.claims, **self.wrong}
        claims = {name: value for name, value in said.items() if value is not None}
        if self.algorithm == "none":
            parts = ({"alg": "none"}, claims)
            plain = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts)
            return ".".join(part.decode().rstrip("=") for part in plain) + "."
        header = {"alg": self.algorithm, "kid": self.key.kid}
        return jwt.encode(header, claims, self.signs_with, algorithms=[self.algorithm])


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/.well-known/openid-configuration":
                self._json(200, provider.discovery())
            elif url.path == "/keys":
                self._json(200, provider.keys())
            else:
                self.send_response(302)
                self.send_header("Location", provider.authorize(asked))
                self.send_header("Content-Length", "0")
                self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = {name: values[0] for name, values in parse_qs(body).items()}
            self._json(*provider.token(asked, self.headers.get("Authorization", "")))

        def _json(self, status: int, said: dict[str, Any]) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing: tests look at what it was asked."""

    return Handler


@contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[Provider]:
    """A provider that listens on a port of its own, under that name of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    provider = Provider(host, server.server_port)
    server.RequestHandlerClass = _handler(provider)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
