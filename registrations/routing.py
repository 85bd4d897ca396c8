"""Where the live socket is found. It checks who asks, and from which Origin, itself."""

from django.urls import URLPattern, path

from registrations.consumers import live_socket
from registrations.event_stream import event_socket

websocket_urlpatterns: list[URLPattern] = [
    path("ws/events/", event_socket),  # type: ignore[arg-type]
    path("ws/live/", live_socket),  # type: ignore[arg-type]  # Channels routes to ASGI applications
]
