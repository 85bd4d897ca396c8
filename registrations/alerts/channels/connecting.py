"""A connection to what an admin named outside, never to what no such service can be.

The name is looked up here and its address judged just before it is used: it may mean another one
than when it was typed.
"""

import socket

from fleet import allowed
from registrations.alerts.channels.sending import NotSent

STEP_S = 5.0
"""How long a connection, a handshake and each piece of a message may take."""
MOST_ADDRESSES = 2
"""Of one name are tried; the next attempt may be given others."""


def connected(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """Return a socket to the first address of `host` that takes it.

    Raises NotSent, for good where no address of it may be asked.
    """
    try:
        found = socket.getaddrinfo(host, port, type=kind)
    except OSError as error:
        raise NotSent(f"{host} cannot be looked up: {error.strerror or error}.") from error
    except UnicodeError as error:
        raise NotSent(f"{host} cannot be looked up: it is no name.") from error
    why, is_refused = "", bool(found)
    for family, _, _, _, address in found[:MOST_ADDRESSES]:
        why = allowed.outside_refusal(str(address[0]))
        if why:
            continue
        is_refused = False
        made = socket.socket(family, kind)
        made.settimeout(STEP_S)
        try:
            made.connect(address)
        except OSError as error:
            made.close()
            why = f"{host} cannot be reached: {error.strerror or error}."
            continue
        return made
    raise NotSent(why or f"{host} has no address.", is_final=is_refused)
