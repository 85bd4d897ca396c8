"""No request brings more than its path may have, whatever it says of itself."""

import socket
from collections.abc import Iterator

import pytest

from fleet import bodies
from fleet.config import asgi
from tests.registrations.live_web import Web, whole

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def product() -> Iterator[Web]:
    web = whole()
    yield web
    web.stop()


def sent(web: Web, head: str, *parts: bytes) -> str:
    """The status line that comes back; what is still to be sent then is not."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=30) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode())
        try:
            for part in parts:
                connection.sendall(part)
        except ConnectionError:
            pass
        said = b""
        while b"\r\n" not in said and (more := connection.recv(4096)):
            said += more
    return said.partition(b"\r\n")[0].decode()


CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


def test_a_body_that_is_too_long_is_refused_whether_it_says_so_or_not(product: Web) -> None:
    for path in ("/accounts/login/", "/api/v1/failbacks/", "/nothing/"):
        head = f"POST {path} HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\n"
        says = sent(product, f"{head}Content-Length: {bodies.USUAL + 1}\n\n")
        assert says.split()[1] == "413", path
        hides = sent(product, f"{head}Transfer-Encoding: chunked\n\n", *[CHUNK] * 40)
        assert hides.split()[1] == "413", path
        short = sent(product, f"{head}Content-Length: 2\n\n", b"{}")
        assert short.split()[1] in ("401", "403", "404"), path


def test_files_may_be_longer_and_are_bounded_too(product: Web) -> None:
    for path in asgi.LONG_BODIES:
        head = f"POST {path} HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\n"
        long = sent(product, f"{head}Content-Length: {bodies.FILES + 1}\n\n")
        assert long.split()[1] == "413", path
        fits = sent(product, f"{head}Transfer-Encoding: chunked\n\n", *[CHUNK] * 40, b"0\r\n\r\n")
        assert fits.split()[1] in ("302", "401", "403"), path
