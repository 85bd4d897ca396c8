"""Which servers may be asked here: the rule of ALLOWED_SERVER_NETWORKS, for all who need it."""

from django.conf import settings

from fleet.formats import networks, values


def refusal(address: str) -> str:
    """Return '' where that IP address may be asked, else a sentence why not."""
    sentence: str = settings.ALLOWED_SERVERS.refusal(address)
    return sentence


def server_address(given: str) -> str:
    """As `values.address`, and one that may be asked. Raises ValueError with a sentence."""
    address = values.address(given)
    if why := refusal(address):
        raise ValueError(why)
    return address


def outside_refusal(address: str) -> str:
    """As `refusal`, for what is no server of the fleet: whoever is told of incidents.

    No variable opens those addresses, so the sentence names none.
    """
    why = networks.never(address, loopback=settings.ALLOWED_SERVERS.loopback)
    return f"{why}: nobody can be told there." if why else ""
