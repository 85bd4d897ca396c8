"""What exists: sites, server groups with their servers, handsets with their lines."""

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat, Lower, Now

from fleet import allowed, reach
from fleet.fields import EncryptedTextField
from fleet.formats import certificates, dns_cache, policy, values
from fleet.import_rows import ImportJob as ImportJob  # Django looks here
from fleet.import_rows import ImportPart as ImportPart
from fleet.people import Account as Account
from fleet.people import ApiToken as ApiToken
from fleet.people import SiteLimit as SiteLimit


def _clean(thing: models.Model, readers: Mapping[str, Callable[[str], object]]) -> None:
    """Read these fields as a fleet file's are read. Raises ValidationError by field."""
    wrong = {}
    for name, reader in readers.items():
        try:
            setattr(thing, name, reader(str(getattr(thing, name))))
        except ValueError as error:
            wrong[name] = str(error)
    if wrong:
        raise ValidationError(wrong)


def _searchable(*parts: str | Combinable, between: str) -> models.GeneratedField:
    """What is looked through for a word, in lower case, kept by the database itself."""
    first, *others = parts
    joined = (piece for part in others for piece in (models.Value(between), part))
    text = Concat(first, *joined, output_field=models.TextField())
    return models.GeneratedField(
        expression=Lower(text), output_field=models.TextField(), db_persist=True
    )


def _groups_at(sites: frozenset[int]) -> models.QuerySet[Any, Any]:
    """The groups that somebody at these sites is in, whoever else is."""
    return Handset._base_manager.filter(site__in=sites).order_by().values("group")


class Site(models.Model):
    """A place with a network of its own; its workers stand in that network."""

    name = models.SlugField(max_length=60, unique=True)
    time_zone = models.CharField(max_length=60, default="UTC")
    has_own_workers = models.BooleanField(
        default=False,
        help_text="True: only workers started for this site register its handsets "
        "(Celery queue site.NAME); false: the workers of the shared queue do.",
    )

    objects = reach.Narrowed["Site"]()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def of_sites(ids: frozenset[int]) -> models.Q:
        return models.Q(pk__in=ids)

    def clean(self) -> None:
        if self.time_zone not in available_timezones():
            raise ValidationError({"time_zone": f"There is no time zone {self.time_zone!r}."})


class ServerGroup(models.Model):
    """An ordered set of servers and the policy by which its handsets use them."""

    class Mode(models.TextChoices):
        FAILOVER = "failover", "Failover"
        FALLBACK = "fallback", "Fallback"

    class FailBackMode(models.TextChoices):
        NEW_REQUESTS = "new_requests", "newRequests"
        DNS_TTL = "dns_ttl", "DNSTTL"
        REGISTRATION = "registration", "registration"
        DURATION = "duration", "duration"

    class ListScope(models.TextChoices):
        OWN_GROUP = "own_group", "own group"
        ALL = "all", "all servers"

    class OnMassRejection(models.TextChoices):
        STAY = "stay", "stay"
        FAILOVER = "failover", "failover"

    name = models.CharField(max_length=80, unique=True)
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.FAILOVER)
    # The policy. Names, ranges and defaults are those of fleet.formats.policy.PARAMETERS.
    expires = models.PositiveIntegerField(default=3600)
    expires_overlap = models.PositiveIntegerField(default=60)
    retry_max_count = models.PositiveIntegerField(default=3)
    retry_timeout = models.PositiveIntegerField(default=0)
    register_retry_base = models.PositiveIntegerField(default=60)
    register_retry_max = models.PositiveIntegerField(default=60)
    re_register_on = models.BooleanField(default=False)
    fail_registration_on = models.BooleanField(default=False)
    only_signal_with_registered = models.BooleanField(default=True)
    fail_back_mode = models.CharField(
        max_length=12, choices=FailBackMode.choices, default=FailBackMode.REGISTRATION
    )
    fail_back_timeout = models.PositiveIntegerField(default=3600)
    fast_failover = models.BooleanField(default=False)
    shares_registrations = models.BooleanField(default=False)
    max_registrations_per_second = models.PositiveIntegerField(default=200)
    failover_on_503 = models.BooleanField(default=True)
    failover_on_408 = models.BooleanField(default=True)
    retry_waits_after_last = models.BooleanField(default=True)
    register_list_scope = models.CharField(
        max_length=10, choices=ListScope.choices, default=ListScope.OWN_GROUP
    )
    tcp_fast_failover = models.BooleanField(default=False)
    on_mass_rejection = models.CharField(
        max_length=10, choices=OnMassRejection.choices, default=OnMassRejection.STAY
    )
    refuse_md5 = models.BooleanField(default=False)
    observe_every = models.PositiveIntegerField(default=60)

    # PEM. What servers reached over TLS must prove; empty: what the system's store proves.
    tls_ca = models.TextField(
        blank=True,
        help_text="Certificates in PEM of the authorities to trust instead of the system's.",
    )
    tls_certificate = models.TextField(
        blank=True,
        help_text="The one certificate in PEM its servers show: accepted as it is, whatever its "
        "name, authority and dates.",
    )

    objects = reach.Narrowed["ServerGroup"]()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def of_sites(ids: frozenset[int]) -> models.Q:
        return models.Q(pk__in=_groups_at(ids))

    def clean(self) -> None:
        pem = {"tls_ca": certificates.authority, "tls_certificate": certificates.certificate}
        _clean(self, pem)
        given = {name: getattr(self, name) for name in policy.PARAMETERS}
        _, wrong = policy.read_policy(given)
        wrong = policy.contradictions(self.mode, given) | wrong
        if wrong:
            raise ValidationError(wrong)


class Server(models.Model):
    """A registrar. Priority 1 is the group's primary."""

    class Transport(models.TextChoices):
        UDP = "udp", "UDP"
        TCP = "tcp", "TCP"
        TLS = "tls", "TLS"
        TCP_PREFERRED = "tcp_preferred", "TCP, else UDP"
        DNS_NAPTR = "dns_naptr", "As DNS says (NAPTR)"

    group = models.ForeignKey(ServerGroup, models.CASCADE, related_name="servers")
    priority = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(8)]
    )
    name = models.CharField(max_length=80, blank=True)
    address = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=5060, validators=[MaxValueValidator(65535)])
    transport = models.CharField(max_length=13, choices=Transport.choices, default=Transport.UDP)
    tls_name = models.CharField(
        max_length=253,
        blank=True,
        help_text="The name its certificate must bear over TLS; left empty, its address. "
        "Wildcard certificates stand for no name (RFC 5922).",
    )
    register = models.BooleanField(default=True)
    lost_features = models.JSONField(default=list, blank=True)

    objects = reach.Narrowed["Server"]()

    class Meta:
        ordering = ["group", "priority"]
        constraints = [
            models.UniqueConstraint(fields=["group", "priority"], name="server_priority_in_group")
        ]

    def __str__(self) -> str:
        return self.name or self.place

    @staticmethod
    def of_sites(ids: frozenset[int]) -> models.Q:
        return models.Q(group__in=_groups_at(ids))

    @property
    def place(self) -> str:
        """Where it is, as configured: a name without a port leaves that to DNS."""
        return f"{self.address}:{self.port}" if self.port else self.address

    def clean(self) -> None:
        readers = {"address": allowed.server_address, "transport": values.transport}
        _clean(self, {**readers, "tls_name": values.tls_name})


class DnsRecord(models.Model):
    """A record of a group's own (the handset's `dns.cache`): used where DNS has nothing to say."""

    class Kind(models.TextChoices):
        A = "A", "A"
        SRV = "SRV", "SRV"
        NAPTR = "NAPTR", "NAPTR"

    group = models.ForeignKey(ServerGroup, models.CASCADE, related_name="dns_records")
    kind = models.CharField(max_length=5, choices=Kind.choices)
    name = models.CharField(max_length=253)
    ttl = models.PositiveIntegerField(default=dns_cache.TTL)
    # Each kind has its own of these; fleet.formats.dns_cache says which and in what range.
    address = models.CharField(max_length=15, blank=True)
    priority = models.PositiveIntegerField(default=0)
    weight = models.PositiveIntegerField(default=0)
    port = models.PositiveIntegerField(default=0)
    target = models.CharField(max_length=253, blank=True)
    order = models.PositiveIntegerField(default=0)
    preference = models.PositiveIntegerField(default=0)
    flags = models.CharField(max_length=1, blank=True)
    service = models.CharField(max_length=32, blank=True)
    replacement = models.CharField(max_length=253, blank=True)

    class Meta:
        ordering = ["group", "pk"]

    def __str__(self) -> str:
        return f"{self.name} {self.kind}"

    def clean(self) -> None:
        given = {name: getattr(self, name) for name in dns_cache.FIELDS.get(self.kind, ())}
        row, wrong = dns_cache.read({"type": self.kind, **given})
        if row is None:
            wrong = {"kind" if name == "type" else name: said for name, said in wrong.items()}
            raise ValidationError(wrong)
        for name in given:
            setattr(self, name, getattr(row, name))


class Handset(models.Model):
    """A device, known by its MAC."""

    mac = models.CharField(max_length=12, unique=True)
    name = models.CharField(max_length=120, blank=True)
    model = models.CharField(max_length=40, blank=True)
    group = models.ForeignKey(ServerGroup, models.PROTECT, related_name="handsets")
    site = models.ForeignKey(Site, models.PROTECT, related_name="handsets")
    tags = models.JSONField(default=list, blank=True)
    search_text = _searchable("name", "mac", "model", Cast("tags", models.TextField()), between=" ")

    objects = reach.Narrowed["Handset"]()

    class Meta:
        ordering = ["mac"]
        # The orders of the list of handsets, so that a page of it is read and not sorted out.
        indexes = [
            models.Index(fields=["name"], name="handset_by_name"),
            models.Index(fields=["model", "name"], name="handset_by_model"),
        ]

    def __str__(self) -> str:
        return self.name or self.mac

    @staticmethod
    def of_sites(ids: frozenset[int]) -> models.Q:
        return models.Q(site__in=ids)

    def clean(self) -> None:
        _clean(self, {"mac": values.mac})


class Line(models.Model):
    """One registration of a handset: an address of record and its credentials."""

    class Supervision(models.TextChoices):
        REGISTER = "register", "Register"
        OBSERVE = "observe", "Observe"
        OFF = "off", "Off"

    handset = models.ForeignKey(Handset, models.CASCADE, related_name="lines")
    number = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1)])
    extension = models.CharField(max_length=64)
    domain = models.CharField(max_length=253)
    auth_user = models.CharField(max_length=128)
    auth_password = EncryptedTextField(blank=True)
    supervision = models.CharField(max_length=8, choices=Supervision.choices)
    waits = models.BooleanField(
        default=False,
        editable=False,
        help_text="Imported in the first run to register, or restored; off until somebody says go.",
    )
    waits_for = models.CharField(
        max_length=8,
        blank=True,
        db_default="",
        default="",
        editable=False,
        help_text="Its supervision from then on; empty: register.",
    )
    created_at = models.DateTimeField(db_default=Now())
    search_text = _searchable("extension", "domain", between="@")

    objects = reach.Narrowed["Line"]()

    class Meta:
        ordering = ["handset", "number"]
        indexes = [models.Index(fields=["extension"], name="line_by_extension")]
        constraints = [
            models.UniqueConstraint(fields=["handset", "number"], name="line_number_in_handset")
        ]

    def __str__(self) -> str:
        return f"{self.extension}@{self.domain}"

    @staticmethod
    def of_sites(ids: frozenset[int]) -> models.Q:
        return models.Q(handset__site__in=ids)

    def clean(self) -> None:
        readers = {"extension": values.extension, "domain": values.domain}
        _clean(self, {**readers, "auth_password": values.password})


class Provenance(models.Model):
    """From which file and parameter of an import the values of a group or a handset came.

    Kept and read by `fleet.provenance`; no agent looks at it.
    """

    group = models.OneToOneField(ServerGroup, models.CASCADE, null=True, related_name="provenance")
    handset = models.OneToOneField(Handset, models.CASCADE, null=True, related_name="provenance")
    values = models.JSONField(default=dict, help_text="By field: file, row, parameter, value")
    unknown = models.JSONField(default=list, help_text="What says nothing about registration")
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"Provenance of {self.group or self.handset}"


class Preference(models.Model):
    """What a user chose for themselves."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="preference"
    )
    time_zone = models.CharField(
        max_length=60,
        blank=True,
        help_text="A zone's name; empty: each site's own; browser: that of the user's computer.",
    )
    handset_columns = models.JSONField(
        default=list, blank=True, help_text="Of the list of handsets; empty: the usual ones."
    )

    def __str__(self) -> str:
        return str(self.user)
