"""The ASGI application: pages and API by Django, the live socket by Channels."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleet.config.settings")
django_application = get_asgi_application()

# Only now are the apps ready for modules that import models.
from fleet.bodies import BULK, FILES, BoundedBodies  # noqa: E402
from registrations.routing import websocket_urlpatterns  # noqa: E402
from registrations.runtime import memory  # noqa: E402

LONG_BODIES = dict.fromkeys(
    ("/api/v1/imports/", "/api/v1/imports/jobs/", "/import/", "/start/handsets/"), FILES
) | {"/api/v1/handsets/bulk/": BULK}

application = ProtocolTypeRouter(
    {
        "http": BoundedBodies(django_application, LONG_BODIES),
        # The socket itself checks Origin and asker: token clients, which have no Origin, may too.
        "websocket": URLRouter(websocket_urlpatterns),
    }
)

# The pages' modules too, for what is loaded by now is never looked through again for garbage.
_ = get_resolver().url_patterns
memory.settle()
