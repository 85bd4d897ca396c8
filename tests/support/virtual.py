"""A virtual network for one agent: scripted registrars, a clock nobody waits for.

Each registrar answers what its `mood` says; the world delivers, advances to the next timer and
grants permits as they are asked, until the agent is idle.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

from registrations.agent import Agent
from registrations.keeping import Entry
from registrations.plan import Plan, Surroundings
from registrations.report import AgentResult, Decision, Want
from registrations.values import Account, GroupMode, HostPort, News, Policy, Target

ACCOUNT = Account("4101", "pbx.example", "4101", "pw-4101", "urn:uuid:1")
START = 1_700_000_000.0


def header(data: bytes, name: str) -> str:
    found = re.search(rf"(?im)^{name}:\s*(.*?)\r?$", data.decode())
    return found.group(1) if found else ""


def place(number: int) -> HostPort:
    """Where server `number` of a World listens."""
    return f"127.0.0.{number + 1}", 5060


@dataclass
class Registrar:
    """One scripted registrar. `mood`: ok, silent, dead (ICMP), or a status line to answer."""

    target: Target
    challenges: bool = True
    mood: str = "ok"
    extra: str = ""
    grants: int | None = None
    seen: list[bytes] = field(default_factory=list)
    bindings: dict[str, float] = field(default_factory=dict)
    foreign: str = ""
    """Somebody else's Contact, listed in every 200."""

    def answer(self, data: bytes, now: float) -> bytes | None:
        self.seen.append(data)
        if self.mood == "silent":
            return None
        if self.mood != "ok":
            return self._reply(data, self.mood, self.extra)
        if self.challenges and not header(data, "Authorization"):
            challenge = 'Digest realm="pbx.example", nonce="n1", qop="auth", algorithm=MD5'
            return self._reply(data, "401 Unauthorized", f"WWW-Authenticate: {challenge}\r\n")
        also = f"Contact: <{self.foreign}>;expires=100\r\n" if self.foreign else ""
        if not header(data, "Contact"):
            return self._reply(data, "200 OK", also)
        expires = self.grants if self.grants is not None else int(header(data, "Expires"))
        contact = header(data, "Contact")
        uri = contact[contact.index("<") : contact.index(">") + 1]
        self.bindings[uri] = now + expires
        return self._reply(
            data, "200 OK", f"Contact: {uri};expires={expires}\r\n{also}{self.extra}"
        )

    @staticmethod
    def _reply(data: bytes, status: str, extra: str) -> bytes:
        kept = "".join(
            f"{name}: {header(data, name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq")
        )
        return (
            f"SIP/2.0 {status}\r\n{kept}To: {header(data, 'To')};tag=r\r\n{extra}"
            "Content-Length: 0\r\n\r\n"
        ).encode()


@dataclass
class World:
    """One line's agent against its group's registrars."""

    policy: Policy = field(default_factory=Policy)
    mode: GroupMode = GroupMode.FAILOVER
    servers: int = 2
    jitter: Callable[[], float] = lambda: 0.0
    registers: Mapping[int, bool] = field(default_factory=dict)
    now: float = START
    lease_gap: int = 0
    is_cleared: bool = True
    """Start as a line that was bound before: no question before the first binding."""
    news: News = field(default_factory=News)
    entries: tuple[Entry, ...] | None = None
    """The group's servers where they are not simply one for each registrar."""

    def __post_init__(self) -> None:
        self.registrars = [
            Registrar(Target(number, *place(number))) for number in range(1, self.servers + 1)
        ]
        self.snapshot: dict[str, object] = {}
        if self.is_cleared:
            keys = ["group", *(str(r.target.server_id) for r in self.registrars)]
            courses = {key: {"is_cleared": True} for key in keys}
            self.snapshot = {"aor": ACCOUNT.aor, "courses": courses}
        self.result: AgentResult | None = None
        self.wants: list[Want] = []
        self.outbox: list[tuple[Target, bytes]] = []
        self._tokens = count(1)

    def agent(self) -> Agent:
        self.wants, self.outbox = [], []
        around = Surroundings(
            contact_for=lambda user, target, spoken: "sip:4101@127.0.0.1:9000",
            sent_by_for=lambda target: "127.0.0.1:40000",
            token=lambda: f"t{next(self._tokens):08d}",
            jitter=self.jitter,
        )
        plan = Plan(self.mode, self.policy, self.entries or self.one_each(), around)
        return Agent(ACCOUNT, plan, self.snapshot, self.lease_gap)

    def one_each(self) -> tuple[Entry, ...]:
        """Return one configured server for each registrar."""
        return tuple(
            Entry(
                r.target.server_id,
                r.target.server_id,
                self.registers.get(r.target.server_id, True),
                (r.target,),
                f"Server {r.target.server_id}",
            )
            for r in self.registrars
        )

    def claim(self, wish: str = "") -> AgentResult:
        """Claim, drive to idle, save: what a worker does with a due row."""
        agent = self.agent()
        agent.start(self.now, wish, self.news)
        while not agent.is_idle:
            self.drive_once(agent)
        self.result = agent.result()
        self.snapshot = self.result.snapshot
        return self.result

    def ask(self, agent: Agent) -> Decision:
        """Ask the agent what it wants; requests and datagrams wait here for whoever acts next."""
        decision = agent.decide()
        self.wants += decision.wants
        self.outbox += decision.datagrams
        return decision

    def grant(self, agent: Agent) -> tuple[list[tuple[Target, bytes]], float | None]:
        """Grant all that waits; return what leaves now and when the agent is to be woken."""
        self.ask(agent)
        for want in self.wants:
            agent.grant(want.key, self.now)
        self.wants = []
        timer = self.ask(agent).timer
        sent, self.outbox = self.outbox, []
        return sent, timer

    def drive_once(self, agent: Agent) -> None:
        sent, timer = self.grant(agent)
        for target, data in sent:
            self._deliver(agent, target, data)
        if not sent and timer is not None:
            self.now = max(self.now, timer)
            agent.handle_timer(self.now)

    def _deliver(self, agent: Agent, target: Target, data: bytes) -> None:
        registrar = next(r for r in self.registrars if r.target.place == target.place)
        if registrar.mood == "dead":
            registrar.seen.append(data)
            agent.transport_failed(target, None, "port unreachable", self.now)
            return
        answer = registrar.answer(data, self.now)
        if answer is not None:
            agent.receive(answer, (target.address, target.port), self.now)

    def wait(self, wish: str = "") -> AgentResult:
        """Go to when the line is due, and claim it."""
        if self.result is not None:
            self.now = max(self.now, self.result.due_at)
        return self.claim(wish)

    def seen(self, number: int) -> int:
        return len(self.registrars[number - 1].seen)
