"""Provisioning servers' files, composed in both dialects."""

from xml.sax.saxutils import quoteattr

Files = list[tuple[str, bytes]]

WARD = "00907a0a1b2c"
ICU = "00907a0a1b2d"
DESK = "0004f2000001"

SERVERS = {
    "voIpProt.server.1.address": "pbx.hospital.example",
    "voIpProt.server.1.port": "0",
    "voIpProt.server.1.transport": "DNSnaptr",
    "voIpProt.server.1.expires": "600",
    "voIpProt.server.1.expires.overlap": "60",
    "voIpProt.server.1.retryMaxCount": "3",
    "voIpProt.server.1.retryTimeOut": "500",
    "voIpProt.server.1.failOver.reRegisterOn": "1",
    "voIpProt.server.1.failOver.failRegistrationOn": "1",
    "voIpProt.server.1.failOver.failBack.mode": "duration",
    "voIpProt.server.1.failOver.failBack.timeout": "120",
    "voIpProt.server.2.address": "192.0.2.20",
    "voIpProt.server.2.port": "5060",
    "voIpProt.server.2.transport": "UDPOnly",
    "voIpProt.server.2.register": "1",
}
CACHE = {
    "dns.cache.A.1.name": "pbx.hospital.example",
    "dns.cache.A.1.address": "192.0.2.10",
    "dns.cache.A.1.ttl": "300",
}


def parameters(given: dict[str, str], root: str = "handsetConfig") -> bytes:
    """A file with these parameters, on one element each, as the vendor's templates nest them."""
    inner = "\n".join(f"<a {name}={quoteattr(value)}/>" for name, value in given.items())
    return f'<?xml version="1.0" encoding="utf-8"?>\n<{root}><b>\n{inner}\n</b></{root}>\n'.encode()


def line(extension: str, number: int = 1, **more: str) -> dict[str, str]:
    """What a handset's own file says of a line; `more` by what follows `reg.x.`."""
    given = {"address": extension, "auth.userId": extension, "auth.password": f"pw-{extension}"}
    given |= {name.replace("_", "."): value for name, value in more.items()}
    return {f"reg.{number}.{name}": value for name, value in given.items()}


def master(config_files: str, overrides: str = "overrides") -> bytes:
    """The 84-Series' master file."""
    return f"""<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<MASTER_CONFIG>
  <SOFTWARE APP_FILE_PATH="sip.ld"/>
  <CONFIGURATION CONFIG_FILES="{config_files}"/>
  <DIRECTORIES LOG_FILE_DIRECTORY="logs" OVERRIDES_DIRECTORY="{overrides}"
               CONTACTS_DIRECTORY="" CALL_LISTS_DIRECTORY=""/>
</MASTER_CONFIG>
""".encode()


def application(config_files: str, overrides: str = "", models: str = "") -> bytes:
    """Polycom's master file; `models` are per-model children as they stand."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<APPLICATION APP_FILE_PATH="sip.ld" CONFIG_FILES="{config_files}" MISC_FILES=""
  LOG_FILE_DIRECTORY="" OVERRIDES_DIRECTORY="{overrides}" CONTACTS_DIRECTORY="">
  {models}
</APPLICATION>
""".encode()


def spectralink() -> Files:
    """The example of the 84-Series: one handset, a name with a record of its own, a fallback."""
    own = line("4101", label="4101", displayName="Ward 4 nurse")
    return [
        ("000000000000.cfg", master("[PHONE_MAC_ADDRESS]-ext.cfg, site.cfg")),
        (f"{WARD}-ext.cfg", parameters(own)),
        ("site.cfg", parameters(SERVERS | CACHE)),
    ]


def polycom() -> Files:
    """Polycom's UCS: the handset's own master file, older roots, a user with its host."""
    shared = {
        "voIpProt.server.1.address": "192.0.2.10",
        "voIpProt.server.1.transport": "TCPOnly",
        "voIpProt.SIP.failoverOn503Response": "0",
        "tone.dtmf.level": "-15",
        "device.syslog.serverName": "192.0.2.99",
    }
    own = line("5001@voice.example", displayName="Desk") | {"reg.1.auth.userID": "u5001"}
    del own["reg.1.auth.userId"]
    return [
        (f"{DESK}.cfg", application(f"{DESK}-registration.cfg, phone1.cfg, sip.cfg")),
        (f"{DESK}-registration.cfg", parameters(own, "PHONE_CONFIG")),
        ("phone1.cfg", parameters({"reg.1.label": "not this one", "reg.2.address": ""}, "phone1")),
        ("sip.cfg", parameters(shared, "polycomConfig")),
    ]


def ward(count: int) -> Files:
    """A flat tree of many handsets with one site's file."""
    shared = [
        ("000000000000.cfg", master("[PHONE_MAC_ADDRESS]-ext.cfg, site.cfg")),
        ("site.cfg", parameters(SERVERS)),
    ]
    own = [
        (f"00907a{n:06x}-ext.cfg", parameters(line(str(10_000 + n), displayName=f"Handset {n}")))
        for n in range(1, count + 1)
    ]
    return shared + own


def renamed(files: Files, folder: str) -> Files:
    return [(f"{folder}/{name}", data) for name, data in files]
