"""What `/metrics` has, as Prometheus' families. Per server, group, site and process, no deeper."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from fleet.build import BUILD
from registrations.proving import Proof
from registrations.queries.load import Queue
from registrations.vitals import Vitals
from registrations.vitals.counters import ALL, SUM, Counter, Histogram

PREFIX = "rollcall_"


class Names:
    """The names behind the ids by which things are counted; what is deleted has none."""

    def __init__(self, groups: Iterable[Mapping[str, Any]], queues: Iterable[Queue]) -> None:
        self._servers = {
            str(server["id"]): _of(group, server) for group in groups for server in group["servers"]
        }
        self._sites = {str(queue.site.pk): {"site": queue.site.name} for queue in queues}

    def labels(self, kinds: Iterable[str], values: Iterable[str]) -> dict[str, str] | None:
        """Return the labels of one count; None where what it counts is no more."""
        found: dict[str, str] = {}
        for kind, value in zip(kinds, values, strict=False):
            known = {"server": self._servers, "site": self._sites}.get(kind)
            label = {kind: value} if known is None else known.get(value)
            if label is None:
                return None
            found |= label
        return found


def reachable(database: bool, redis: bool) -> Iterator[Metric]:
    """Whether the stores answered this question."""
    yield _gauge("database_up", "Whether the database answers.", [({}, database)])
    yield _gauge("redis_up", "Whether Redis answers.", [({}, redis)])
    yield _gauge("build_info", "Which code this web process runs.", [({"build": BUILD}, 1)])


def fleet(summary: Mapping[str, Any], age: float) -> Iterator[Metric]:
    """The fleet as pages sum it: who is where, and what is known of the servers."""
    groups = summary["groups"]
    yield _gauge(
        "registrations",
        "Registrations as shown, by group, working server and state.",
        [each for group in groups for each in _states(group)],
    )
    yield _gauge("registrations_age_seconds", "How old that sum is.", [({}, age)])
    servers = [(_of(group, server), server) for group in groups for server in group["servers"]]
    yield _gauge(
        "server_condition",
        "1 for what a site knows of a server: up, silent or unknown.",
        [
            ({**of, "site": site["site_name"], "condition": each}, site["condition"] == each)
            for of, server in servers
            for site in server["sites"]
            for each in ("up", "silent", "unknown")
        ],
    )
    yield _gauge(
        "server_sick",
        "Whether a server refuses handsets it accepted before.",
        [(of, server["sick_since"] is not None) for of, server in servers],
    )
    yield _gauge(
        "server_paused",
        "Whether a server asked to be left alone.",
        [(of, server["paused_until"] is not None) for of, server in servers],
    )


def proofs(counted: Mapping[int, Mapping[str, int]], names: "Names") -> Iterator[Metric]:
    """Whom each server would take, by what it last said of them."""
    yield _gauge(
        "standby_proofs",
        "Lines of a server's group by whether it would take them, as its last answer proves.",
        [
            ({**server, "proof": proof}, counts.get(proof, 0))
            for server_id, counts in counted.items()
            if (server := names.labels(("server",), (str(server_id),)))
            for proof in Proof
        ],
    )


def work(
    queues: Iterable[Queue],
    jobs: Mapping[tuple[str, str], int],
    exports: Mapping[str, int],
) -> Iterator[Metric]:
    """What there is to do, by the database."""
    named = [({"site": queue.site.name}, queue) for queue in queues]
    yield _gauge(
        "queue_lag_seconds",
        "How long the first due registration of a site has waited for a worker.",
        [(site, queue.lag) for site, queue in named],
    )
    yield _gauge(
        "queue_due", "Registrations due at a site.", [(site, queue.due) for site, queue in named]
    )
    yield _gauge(
        "site_network_suspected",
        "Whether a site's own network is suspected: nothing moves there.",
        [(site, queue.is_suspected) for site, queue in named],
    )
    yield _gauge(
        "jobs",
        "Jobs that are not over.",
        [({"kind": kind, "state": state}, n) for (kind, state), n in jobs.items()],
    )
    yield _gauge(
        "exports", "Exports that are kept.", [({"state": s}, n) for s, n in exports.items()]
    )


def processes(vitals: Vitals) -> Iterator[Metric]:
    """What processes say of themselves."""
    told = {kind: vitals.of(kind) for kind in ("worker", "beat", "answerer", "web")}
    workers = [({"worker": each.name}, each) for each in told["worker"]]
    yield _gauge(
        "worker_info",
        "Each worker, its site ('': the shared queue) and the code it runs.",
        [
            ({**worker, "site": each.facts["site"], "build": each.facts["build"]}, 1)
            for worker, each in workers
        ],
    )
    for kind in ("worker", "beat", "answerer"):
        yield _gauge(
            f"{kind}_heard_seconds",
            f"How long ago the {kind} was heard; each second is normal.",
            [({kind: each.name}, each.age) for each in told[kind]],
        )
    for fact, words in _FACTS.items():
        yield _gauge(
            f"worker_{fact}",
            words,
            [(worker, each.facts[fact]) for worker, each in workers if each.is_fresh],
        )
    open_now = sum(web.facts["sockets"] for web in told["web"] if web.is_fresh)
    yield _gauge("sockets_open", "Live sockets open, over all web processes.", [({}, open_now)])


_FACTS = {
    "in_flight": "Registrations a worker has in its hands.",
    "room": "How many more it would take.",
    "results_waiting": "Results that wait to be written.",
    "traces_waiting": "Tries that wait to be kept for the traces.",
}


def counted(vitals: Vitals, names: Names) -> Iterator[Metric]:
    """Everything that is counted (see `registrations.vitals.counters`)."""
    found: dict[str, dict[tuple[str, ...], dict[str, float]]] = {name: {} for name in ALL}
    for (name, *rest), n in vitals.counts.items():
        kept = ALL.get(name)
        if kept is None:
            continue  # Another version counted it.
        values = tuple(rest[: len(kept.labels)])
        part = rest[-1] if isinstance(kept, Histogram) else ""
        found[name].setdefault(values, {})[part] = n
    for name, kept in ALL.items():
        if isinstance(kept, Counter):
            yield _counter(kept, found[name], names)
        else:
            yield _histogram(kept, found[name], names)


Counted = Mapping[tuple[str, ...], Mapping[str, float]]


def _counter(kept: Counter, found: Counted, names: Names) -> Metric:
    family = CounterMetricFamily(PREFIX + kept.name, kept.told)
    if not kept.labels:
        found = {(): {"": 0.0}, **found}
    for values, parts in found.items():
        labels = names.labels(kept.labels, values)
        if labels is not None:
            family.add_sample(f"{family.name}_total", labels, parts[""])
    return family


def _histogram(kept: Histogram, found: Counted, names: Names) -> Metric:
    family = HistogramMetricFamily(PREFIX + kept.name, kept.told)
    for values, parts in found.items():
        labels = names.labels(kept.labels, values)
        if labels is None:
            continue
        total = 0.0
        for number, bound in enumerate([*map(float, kept.bounds), float("inf")]):
            total += parts.get(str(number), 0.0)
            le = "+Inf" if bound == float("inf") else repr(bound)
            family.add_sample(f"{family.name}_bucket", {**labels, "le": le}, total)
        family.add_sample(f"{family.name}_count", labels, total)
        family.add_sample(f"{family.name}_sum", labels, parts.get(SUM, 0.0))
    return family


def _gauge(name: str, told: str, samples: Iterable[tuple[Mapping[str, str], Any]]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, told)
    for labels, value in samples:
        family.add_sample(family.name, dict(labels), float(value))
    return family


def _of(group: Mapping[str, Any], server: Mapping[str, Any]) -> dict[str, str]:
    """Name a server. Names need not be unique in a group, which Prometheus would refuse."""
    alike = sum(each["name"] == server["name"] for each in group["servers"])
    name = server["name"] if alike == 1 else f"{server['name']} ({server['priority']})"
    return {"group": group["name"], "server": name}


def _states(group: Mapping[str, Any]) -> Iterator[tuple[dict[str, str], int]]:
    """Every state of every server, nobody there too: a series that comes and goes cannot fall."""
    nowhere = dict(group["states"])
    for server in group["servers"]:
        for state, n in server["states"].items():
            nowhere[state] -= n
            if n or state in _HELD.get(server["role"], ()):
                yield {**_of(group, server), "role": server["role"] or "", "state": state}, n
    for state, n in nowhere.items():
        if n or state in _NOWHERE:
            yield {"group": group["name"], "server": "", "role": "", "state": state}, n


_HELD = {role: (role, f"{role}_silent") for role in ("primary", "secondary", "fallback")}
_NOWHERE = ("registering", "unregistered", "rejected", "held", "unknown")
