"""The live socket's parts: a Redis, a web process, somebody who may look."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

from registrations import vitals
from registrations.live import publisher
from tests.registrations.live_web import Web, channel_layers
from tests.support import parts, stores


@pytest.fixture
def live_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Redis of this test's own, and a process that has never spoken to it."""
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
    return str(Token.objects.create(user=user).key)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {
        "executable_path": parts.need("chromium"),
        "args": ["--disable-dev-shm-usage", "--disable-gpu"],
    }
