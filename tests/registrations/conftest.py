"""The live socket's parts: a Redis, a web process, somebody who may look."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import ConsoleMessage, Page

from registrations import vitals
from registrations.live import publisher
from tests.registrations.live_web import Web, channel_layers, log_in, whole, worker
from tests.support import parts, stores
from tests.support.rows import make_token


@pytest.fixture
def live_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Redis of this test's own, and a process that has never spoken to it, nor to another."""
    vitals.stop()
    with stores.redis() as one:
        settings.REDIS_URL = one.url
        settings.CHANNEL_LAYERS = channel_layers(one.url)
        monkeypatch.setattr(publisher, "_publisher", publisher.Publisher())
        yield one.url
        vitals.stop()


@pytest.fixture
def web(live_redis: str) -> Iterator[Web]:
    web = Web()
    web.start()
    yield web
    web.stop()


@pytest.fixture
def token() -> str:
    """The API token of an admin."""
    user = User.objects.create_superuser("admin")
    return make_token(user)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {
        "executable_path": parts.need("chromium"),
        "args": ["--disable-dev-shm-usage", "--disable-gpu"],
    }


@pytest.fixture
def desk(live_redis: str, page: Page) -> Iterator[Page]:
    """An admin's page, live; anything it complains about fails the test, a refused form apart."""
    complaints: list[str] = []

    def listen(said: ConsoleMessage) -> None:
        if said.type == "error" and "status of 422" not in said.text:
            complaints.append(f"{said.text} {said.location['url']}")

    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", listen)
    web = whole()
    try:
        log_in(page, web)
        with worker():
            page.goto(f"http://127.0.0.1:{web.port}/groups/")
            yield page
        assert complaints == []
    finally:
        web.stop()
