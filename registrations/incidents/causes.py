"""From facts to troubles: one for each common cause, and which of them follow from others."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from registrations.incidents import words
from registrations.incidents.facts import (
    DrillFact,
    Facts,
    FlapFact,
    ProcessFact,
    ProofFact,
    ServerFact,
    SiteFact,
    Unserved,
)
from registrations.incidents.limits import (
    BEAT_SILENT,
    CREDENTIALS,
    CRITICAL,
    DRILL,
    FEW,
    FLAPPING,
    HANDSET,
    HORIZON,
    PROOF_LOST,
    SERVER_SICK,
    SERVER_SILENT,
    SITE_NETWORK,
    WARNING,
    WORKER_SILENT,
    Limit,
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One cause of trouble as it stands now, and what is said of it."""

    cause: str
    kind: str
    severity: str
    since: float
    said: words.Said
    handsets: int = 0
    of: int = 0
    server_id: int | None = None
    server: str = ""
    registration_id: int | None = None
    groups: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    under: str = ""
    """The cause it follows from."""

    def is_one(self, now: float, limits: Mapping[str, Limit]) -> bool:
        """Whether there is enough of it, for long enough.

        Too few of a batch are so many handsets without a server nonetheless.
        """
        kinds = (CREDENTIALS, HANDSET) if self.kind == CREDENTIALS else (self.kind,)
        found = (self.handsets, self.of, now - self.since)
        return any(limits[kind].is_passed(*found) for kind in kinds)


def troubles(facts: Facts, standing: Collection[str] = ()) -> list[Trouble]:
    """Return all that is wrong, the causes before what follows from them.

    `standing` are the causes of the incidents that are not over.
    """
    suspected = {site.name: site_cause(site.id) for site in facts.sites}
    found = [_site(site) for site in facts.sites]
    for server in facts.servers:
        found += _server(server, suspected)
    explained = _explained(facts)
    for unserved in facts.unserved:
        found += _unserved(unserved, explained.get((unserved.group, unserved.site), ""), standing)
    found += [_process(process) for process in facts.processes]
    found += [_proof(proof) for proof in facts.proofs]
    found += [_drill(drill) for drill in facts.drills]
    found += [_flap(flap, suspected.get(flap.site, "")) for flap in facts.flaps]
    return found


def site_cause(site_id: int) -> str:
    return f"{SITE_NETWORK}:{site_id}"


def server_cause(place: str) -> str:
    return f"{SERVER_SILENT}:{place}"


def _site(site: SiteFact) -> Trouble:
    return Trouble(
        site_cause(site.id),
        SITE_NETWORK,
        CRITICAL,
        site.suspected_since,
        words.site(site),
        handsets=site.handsets,
        of=site.handsets,
        groups=site.groups,
        sites=(site.name,),
    )


def _server(server: ServerFact, suspected: dict[str, str]) -> Iterator[Trouble]:
    if server.silent:
        yield from _silent(server, suspected)
    if server.sick_since is not None:
        yield Trouble(
            f"{SERVER_SICK}:{server.place}",
            SERVER_SICK,
            CRITICAL,
            server.sick_since,
            words.sick(server),
            handsets=server.refused,
            of=server.calls_it_home,
            server_id=server.id,
            server=server.name,
            groups=server.groups,
        )


def _silent(server: ServerFact, suspected: dict[str, str]) -> Iterator[Trouble]:
    """Silence where a site's own network is to blame is that site's trouble, not the server's."""
    own = {site: since for site, since in server.silent.items() if site not in suspected}
    under = "" if own else suspected[min(server.silent)]
    sites = tuple(sorted(own or server.silent))
    is_grave = server.held > 0 or not server.others_answer
    silent = Trouble(
        server_cause(server.place),
        SERVER_SILENT,
        CRITICAL if is_grave else WARNING,
        min((own or server.silent).values()),
        words.silent(server, sites),
        handsets=server.held,
        of=server.calls_it_home,
        server_id=server.id,
        server=server.name,
        groups=server.groups,
        sites=sites,
        under=under,
    )
    yield silent
    if server.lapsing:
        yield replace(
            silent,
            cause=f"{HORIZON}:{server.place}",
            kind=HORIZON,
            severity=CRITICAL,
            said=words.horizon(server),
            handsets=server.lapsing,
            of=server.held,
            under=under or silent.cause,
        )


def _explained(facts: Facts) -> dict[tuple[str, str], str]:
    """Return why handsets of a group at a site are in trouble, where a bigger cause says it."""
    found: dict[tuple[str, str], str] = {}
    for server in facts.servers:
        for group, site in product(server.groups, server.silent):
            found[group, site] = server_cause(server.place)
        if server.sick_since is not None:
            for unserved in facts.unserved:
                if unserved.group in server.groups:
                    key = (unserved.group, unserved.site)
                    found.setdefault(key, f"{SERVER_SICK}:{server.place}")
    for site_fact in facts.sites:
        for unserved in facts.unserved:
            if unserved.site == site_fact.name:
                found[unserved.group, unserved.site] = site_cause(site_fact.id)
    return found


def _unserved(found: Unserved, under: str, standing: Collection[str]) -> Iterator[Trouble]:
    """Few are named one by one; but what began as a batch stays one to its end."""
    kind = CREDENTIALS if found.is_refused else HANDSET
    batch = f"{kind}:{found.group_id}:{found.site_id}"
    is_batch = found.count > FEW or batch in standing
    if is_batch:
        yield Trouble(
            batch,
            kind,
            CRITICAL,
            found.since,
            words.batch(found),
            handsets=found.count,
            of=found.of,
            groups=(found.group,),
            sites=(found.site,),
            under=under,
        )
    for registration_id, name, since, reason in found.named:
        yield Trouble(
            f"{HANDSET}:{registration_id}",
            HANDSET,
            CRITICAL,
            since,
            words.handset(name, found, reason),
            handsets=1,
            of=found.of,
            registration_id=registration_id,
            groups=(found.group,),
            sites=(found.site,),
            under=under or (batch if is_batch else ""),
        )


def _process(process: ProcessFact) -> Trouble:
    kind = BEAT_SILENT if process.kind == "beat" else WORKER_SILENT
    return Trouble(
        f"{kind}:{process.site}",
        kind,
        WARNING if process.others else CRITICAL,
        process.since,
        words.process(process),
        sites=(process.site,) if process.site else (),
    )


def _proof(proof: ProofFact) -> Trouble:
    return Trouble(
        f"{PROOF_LOST}:{proof.place}",
        PROOF_LOST,
        WARNING,
        proof.since,
        words.proof(proof),
        handsets=proof.lost,
        of=proof.of,
        server_id=proof.server_id,
        server=proof.server,
        groups=proof.groups,
        sites=proof.sites,
    )


def _drill(drill: DrillFact) -> Trouble:
    return Trouble(
        f"{DRILL}:{drill.id}",
        DRILL,
        WARNING,
        drill.since,
        words.drill(drill),
        handsets=drill.away,
        of=drill.moved,
        groups=drill.groups,
        sites=drill.sites,
    )


def _flap(flap: FlapFact, under: str) -> Trouble:
    return Trouble(
        f"{FLAPPING}:{flap.site_id}",
        FLAPPING,
        WARNING,
        flap.since,
        words.flap(flap),
        handsets=flap.handsets,
        of=flap.of,
        registration_id=flap.one[0] if flap.one else None,
        groups=flap.groups,
        sites=(flap.site,),
        under=under,
    )
