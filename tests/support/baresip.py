"""A real SIP phone under the test's hand: baresip, which registers by DNS as handsets do."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import parts
from tests.support.dns import Dns
from tests.support.kamailio import REALM
from tests.support.processes import Child

ADDRESS = "127.0.0.80"

CONFIGURATION = """\
poll_method epoll
sip_listen {address}:0
dns_server {dns}
module_path {modules}
module_tmp uuid.so
module_app account.so
module_app menu.so
"""


@contextmanager
def phone(user: str, dns: Dns, *, expires: int = 20) -> Iterator[Child]:
    """A phone that registers `user` over TCP with the servers that SRV records of REALM name.

    It asks for `expires` seconds, renews in time, and goes to the next server by itself.
    """
    program = parts.need("baresip")
    modules = next(Path("/usr/lib").glob("**/baresip/modules"))
    with tempfile.TemporaryDirectory(prefix="rollcall-phone-") as home:
        place = f"{dns.place[0]}:{dns.place[1]}"
        settings = CONFIGURATION.format(address=ADDRESS, dns=place, modules=modules)
        (Path(home) / "config").write_text(settings)
        account = f"<sip:{user}@{REALM};transport=tcp>;auth_pass=pw-{user};regint={expires}\n"
        (Path(home) / "accounts").write_text(account)
        child = Child("baresip", [program, "-f", home], Path(home) / "baresip.log")
        try:
            yield child
        finally:
            child.kill()
