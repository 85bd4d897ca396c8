"""What looks at observed lines write: their rows, their history, and nothing of others."""

import time

import pytest
from django.utils import timezone

from fleet.models import Line
from registrations import proving, services, store
from registrations.models import Registration, StandbyProof, Transition
from registrations.observing import Contacts
from registrations.proving import Proof
from registrations.queries import registrations
from registrations.store import Proved
from tests.support.claims import at, make_group, make_lines

pytestmark = pytest.mark.usefixtures("database")

PHONE = "sip:4000@10.1.2.3:5060"


class Ward:
    """One observed line and its two servers."""

    def __init__(self, **policy: object) -> None:
        self.group = make_group(**policy)
        [self.line] = make_lines(1, self.group, supervision=Line.Supervision.OBSERVE)
        services.sync_registrations([self.line.pk])
        self.now = time.time()

    def look(self, *answers: tuple[Proof, float | None], after: float = 0.0) -> list[int]:
        """Each server in order says this, with a binding that lasts so long from then on."""
        self.now += after
        StandbyProof.objects.update(due_at=at(self.now - 1))
        claimed = store.claim_proofs([self.line.handset.site_id], 10, 30, now=self.now)
        by_server = {each.server_id: each for each in claimed}
        proved = []
        for server, (proof, lasts) in zip(self.group.servers.all(), answers, strict=True):
            contacts: Contacts = () if lasts is None else ((PHONE, self.now + lasts),)
            finding = proving.Finding(proof, "It said so.")
            if server.pk in by_server:
                mine = by_server[server.pk]
                proved.append(Proved(mine, finding, self.now, 200, contacts))
        return store.save_proofs(proved)

    @property
    def row(self) -> Registration:
        return Registration.objects.select_related("server").get()

    @property
    def causes(self) -> list[str]:
        return list(Transition.objects.order_by("pk").values_list("cause", flat=True))


def test_the_first_look_says_where_it_is_and_a_move_is_one_line_of_history() -> None:
    ward = Ward()
    assert ward.look((Proof.PROVED, 300), (Proof.PROVED, None)) == [ward.row.pk]
    assert (ward.row.state, ward.row.server.priority) == ("primary", 1)
    assert ward.row.due_at is None
    assert ward.look((Proof.PROVED, 240), (Proof.PROVED, None), after=60) == []
    ward.look((Proof.PROVED, 180), (Proof.PROVED, 300), after=60)
    assert (ward.row.state, ward.row.server.priority) == ("secondary", 2)
    assert "still lists it too" in ward.row.reason
    ward.look((Proof.PROVED, None), (Proof.PROVED, None), after=400)
    assert ward.causes == ["seen", "failover", "lost"]
    move = Transition.objects.get(cause="failover")
    assert move.detect_seconds == pytest.approx(60, abs=0.01), "it moved between two looks"


def test_a_handset_that_has_moved_is_looked_at_soon_again() -> None:
    ward = Ward()
    ward.look((Proof.PROVED, 300), (Proof.PROVED, None))
    ward.look((Proof.PROVED, None), (Proof.PROVED, 300), after=60)
    soon = at(ward.now + 10)
    assert {proof.due_at for proof in StandbyProof.objects.all()} == {soon}
    ward.look((Proof.PROVED, None), (Proof.PROVED, 180), after=130)
    assert all(proof.due_at > at(ward.now + 50) for proof in StandbyProof.objects.all())


def test_where_it_cannot_be_told_the_row_stays_and_is_unknown_once_its_look_is_late() -> None:
    ward = Ward()
    ward.look((Proof.PROVED, None), (Proof.PROVED, None))
    ward.look((Proof.PROVED, None), (Proof.UNCLEAR, None), after=60)
    assert ward.row.state == "unregistered"
    assert "cannot be told" in ward.row.reason
    late = registrations(at(ward.now + 200)).get()
    assert (late.shown_state, late.shown_since) == ("unknown", late.next_attempt_at)
    assert registrations(at(ward.now)).get().shown_state == "unregistered"


def test_who_serves_handsets_of_servers_that_share_is_not_guessed() -> None:
    ward = Ward(shares_registrations=True)
    ward.look((Proof.PROVED, 300), (Proof.PROVED, 300))
    assert registrations(timezone.now()).get(pk=ward.row.pk).shown_state == "unknown"
    assert "cannot be told" in ward.row.reason
    assert ward.causes == []


def test_a_line_that_an_agent_has_taken_up_meanwhile_is_not_written() -> None:
    ward = Ward()
    site = ward.line.handset.site_id
    StandbyProof.objects.update(due_at=at(0))
    claimed = store.claim_proofs([site], 10, 30)
    Line.objects.update(supervision="register")
    services.sync_registrations([ward.line.pk])
    finding = proving.Finding(Proof.PROVED, "It took them.")
    contacts: Contacts = ((PHONE, time.time() + 300),)
    store.save_proofs([Proved(each, finding, time.time(), 200, contacts) for each in claimed])
    assert ward.row.state == "registering"


def test_an_observed_line_is_never_claimed_by_an_agent() -> None:
    ward = Ward()
    Registration.objects.update(due_at=at(0), state="primary")
    assert store.claim_due([ward.line.handset.site_id], 10, 30) == []


def test_observing_goes_on_where_proving_is_switched_off(settings: object) -> None:
    ward = Ward()
    settings.PROVE_EVERY = 0  # type: ignore[attr-defined]
    ward.look((Proof.PROVED, 300), (Proof.PROVED, None))
    assert ward.row.state == "primary"
    soonest = min(proof.due_at for proof in StandbyProof.objects.all())
    assert at(ward.now + 50) < soonest <= at(ward.now + 60)


def test_who_is_seen_for_the_first_time_has_not_moved_and_is_looked_at_in_its_time() -> None:
    ward = Ward()
    ward.look((Proof.PROVED, None), (Proof.PROVED, None))
    ward.look((Proof.PROVED, None), (Proof.PROVED, None), after=55)
    assert ward.causes == ["seen"]
    assert all(proof.due_at > at(ward.now + 50) for proof in StandbyProof.objects.all())
    assert ward.row.next_attempt_at == at(ward.now + 60)


def test_a_handset_that_moved_is_looked_at_often_for_two_minutes_and_then_no_more() -> None:
    ward = Ward()
    ward.look((Proof.PROVED, 3000), (Proof.PROVED, None))
    ward.look((Proof.PROVED, None), (Proof.PROVED, 3000), after=60)
    for _ in range(11):
        ward.look((Proof.PROVED, None), (Proof.PROVED, 3000), after=10)
        assert {proof.due_at for proof in StandbyProof.objects.all()} == {at(ward.now + 10)}
    ward.look((Proof.PROVED, None), (Proof.PROVED, 3000), after=11)
    assert all(proof.due_at > at(ward.now + 50) for proof in StandbyProof.objects.all())


def test_a_look_that_finds_nothing_new_writes_the_times_alone() -> None:
    ward = Ward()
    lasts = 3000.0
    ward.look((Proof.PROVED, lasts), (Proof.OPEN, None))
    before = list(StandbyProof.objects.order_by("pk").values(*KEPT))
    shown = Registration.objects.values(*SHOWN).get()
    assert ward.look((Proof.PROVED, lasts - 61), (Proof.OPEN, None), after=60) == []
    assert list(StandbyProof.objects.order_by("pk").values(*KEPT)) == before
    assert Registration.objects.values(*SHOWN).get() == shown
    first, second = StandbyProof.objects.order_by("pk")
    assert (first.asked_at, first.proved_at) == (at(ward.now), at(ward.now))
    assert (second.asked_at, second.proved_at) == (at(ward.now), None)
    assert first.lease_token is None and first.due_at > at(ward.now + 50)
    assert ward.row.heard_at == at(ward.now)


KEPT = ("proof", "since", "code", "reason", "refusals", "contacts", "others_until", "bound_at")
SHOWN = ("state", "server", "since", "reason", "expires_at")


def test_an_answer_as_before_is_written_in_full_where_a_renewal_told_otherwise_meanwhile() -> None:
    ward = Ward()
    ward.look((Proof.PROVED, None), (Proof.PROVED, None))
    StandbyProof.objects.update(due_at=at(ward.now))
    claimed = store.claim_proofs([ward.line.handset.site_id], 10, 30, now=ward.now + 60)
    StandbyProof.objects.update(contacts=[[PHONE, ward.now + 300]], asked_at=at(ward.now + 61))
    finding = proving.Finding(Proof.PROVED, "It said so.")
    store.save_proofs([Proved(each, finding, ward.now + 62, 200) for each in claimed])
    assert [proof.contacts for proof in StandbyProof.objects.all()] == [[], []]


def test_a_setting_of_the_group_counts_from_the_next_look_though_all_answer_as_before() -> None:
    ward = Ward()
    ward.look((Proof.PROVED, 3000), (Proof.PROVED, None))
    assert ward.row.state == "primary"
    ward.group.shares_registrations = True
    ward.group.save()
    ward.look((Proof.PROVED, 2940), (Proof.PROVED, None), after=60)
    assert "cannot be told" in ward.row.reason
