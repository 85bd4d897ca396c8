"""Which servers may be asked here: the rule of ALLOWED_SERVER_NETWORKS, for all who need it."""

from django.conf import settings

from fleet.formats import values


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
