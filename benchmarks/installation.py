"""A real installation for benchmarks of what users meet: all processes, PostgreSQL, Redis."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

from tests.support import stores
from tests.support.product import ADMIN, PASSWORD, ROOT, Product, running


@contextmanager
def installation(handsets: int) -> Iterator[Product]:
    """A running product with a fleet at rest; gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="rollcall-bench-") as home,
        stores.postgres() as cluster,
        stores.redis() as redis_url,
        running(Path(home) / "it", redis_url=redis_url, database_url=cluster.create()) as product,
    ):
        run_there(product, f"from benchmarks.seed import seed; seed({handsets})")
        run_there(product, "from django.db import connection as c; c.cursor().execute('ANALYZE')")
        yield product


def run_there(product: Product, code: str) -> None:
    """Run Python in that installation's Django, to its end."""
    setup = "import django; django.setup(); "
    subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", setup + code], check=True, env=product.env, cwd=ROOT
    )


def logged_in(product: Product) -> OpenerDirector:
    """A client with the session of the admin."""
    jar = CookieJar()
    client = build_opener(HTTPCookieProcessor(jar))
    login = f"{product.url}/accounts/login/"
    client.open(login).read()
    token = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
    form = {"username": ADMIN, "password": PASSWORD, "csrfmiddlewaretoken": token}
    client.open(login, urlencode(form).encode()).read()
    return client
