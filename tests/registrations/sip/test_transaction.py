"""The non-INVITE client transaction in virtual time (RFC 3261 section 17.1.2)."""

import pytest

from registrations.sip.message import Response
from registrations.sip.timers import Schedule, ladder, rfc3261_schedule
from registrations.sip.transaction import ClientTransaction, Key, TransactionState

START = 1000.0
KEY = Key("z9hG4bKa", "127.0.0.1:5062", "REGISTER", 7, "call", "ours")


def transaction(
    schedule: Schedule | None = None, *, transport: str = "udp", proceeding_s: float = 32.0
) -> ClientTransaction:
    return ClientTransaction(
        b"request",
        KEY,
        schedule or rfc3261_schedule(),
        transport=transport,
        now=START,
        proceeding_s=proceeding_s,
    )


def response(
    code: int = 200,
    *,
    via: tuple[str, ...] = ("SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKa;rport=5062",),
    cseq: str = "7 REGISTER",
    call_id: str = "call",
    sender: str = "<sip:4101@pbx.example>;tag=ours",
) -> Response:
    headers = {"via": list(via), "cseq": [cseq], "call-id": [call_id], "from": [sender]}
    return Response(code, "", {name: values for name, values in headers.items() if values != [""]})


def drive(machine: ClientTransaction, until: float = 100.0) -> list[float]:
    """Run its timers; return when it sent, counted from the start."""
    sent = [0.0 for _ in machine.datagrams_to_send()]
    while (at := machine.get_timer()) is not None and at <= START + until:
        machine.handle_timer(at)
        sent += [at - START for _ in machine.datagrams_to_send()]
    return sent


def test_timer_e_doubles_to_t2_and_timer_f_ends_it_at_32_s() -> None:
    machine = transaction()
    assert drive(machine) == list(rfc3261_schedule().sends)
    assert machine.state is TransactionState.TIMED_OUT
    assert machine.waited_s == 32.0
    assert machine.sent_at == START + rfc3261_schedule().sends[-1]
    assert machine.get_timer() is None


def test_the_first_retransmission_comes_after_t1_not_t2() -> None:
    assert drive(transaction(), until=1.0) == [0.0, 0.5]


@pytest.mark.parametrize("schedule", [ladder(3, 500), ladder(3, 0), ladder(1, 100)])
def test_a_ladder_is_followed_to_its_end(schedule: Schedule) -> None:
    machine = transaction(schedule)
    assert drive(machine) == pytest.approx(list(schedule.sends))
    assert machine.waited_s == pytest.approx(schedule.give_up_after)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_reliable_transport_is_never_sent_to_twice(transport: str) -> None:
    machine = transaction(transport=transport)
    assert drive(machine, until=1.0) == [0.0]
    assert machine.sent_at == START
    machine.receive(response(100), START + 1.0)
    assert drive(machine) == []
    assert machine.state is TransactionState.TIMED_OUT


def test_100_trying_does_not_stop_retransmission_but_spaces_it_by_t2() -> None:
    machine = transaction()
    drive(machine, until=0.5)
    assert machine.receive(response(100), START + 0.6) is None
    assert drive(machine) == [1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]
    assert machine.state is TransactionState.TIMED_OUT


def test_a_provisional_answer_means_proceeding() -> None:
    machine = transaction()
    machine.receive(response(183), START)
    assert machine.state is TransactionState.PROCEEDING


def test_100_trying_ends_the_short_ladder_which_is_for_silence() -> None:
    machine = transaction(ladder(1, 500))
    drive(machine, until=0.5)
    machine.receive(response(100), START + 0.7)
    assert drive(machine) == pytest.approx([4.7, 8.7, 12.7, 16.7, 20.7, 24.7, 28.7])
    assert machine.waited_s == 32.0


def test_without_that_patience_the_ladder_ends_all_the_same() -> None:
    machine = transaction(ladder(1, 500), proceeding_s=0.0)
    machine.receive(response(100), START)
    machine.receive(response(100), START + 0.1)
    assert drive(machine) == [0.0, 0.5]
    assert machine.waited_s == 1.0


def test_a_late_call_resends_once_and_goes_on_with_the_schedule() -> None:
    machine = transaction()
    machine.datagrams_to_send()
    machine.handle_timer(START + 5.0)
    assert machine.datagrams_to_send() == (b"request",)
    assert machine.get_timer() == START + 7.5


def test_an_early_call_does_nothing() -> None:
    machine = transaction()
    machine.datagrams_to_send()
    machine.handle_timer(START + 0.4)
    assert machine.datagrams_to_send() == ()


def test_a_final_answer_ends_it_and_its_doubles_change_nothing() -> None:
    machine = transaction()
    final = response(200)
    assert machine.receive(final, START + 0.1) is final
    assert machine.receive(response(403), START + 0.2) is None
    assert machine.receive(response(100), START + 0.2) is None
    machine.handle_timer(START + 50)
    assert machine.state is TransactionState.COMPLETED
    assert machine.get_timer() is None


def test_an_answer_after_the_timeout_changes_nothing() -> None:
    machine = transaction()
    drive(machine)
    assert machine.receive(response(200), START + 40) is None
    assert machine.state is TransactionState.TIMED_OUT


@pytest.mark.parametrize(
    "fitting",
    [
        response(),
        response(via=("SIP/2.0/UDP 127.0.0.1:5062;rport=1;branch=z9hG4bKa",)),
        response(via=("SIP / 2.0 / UDP 127.0.0.1:5062;branch=z9hG4bKa",)),
        response(cseq="0007  REGISTER"),
        response(sender='"a;tag=x" <sip:4101@pbx.example>; TAG = ours ;x'),
        response(sender="sip:4101@pbx.example;tag=ours"),
    ],
)
def test_an_answer_fits_by_branch_sender_cseq_call_id_and_from_tag(fitting: Response) -> None:
    assert transaction().receive(fitting, START) is fitting


@pytest.mark.parametrize(
    "stranger",
    [
        response(via=("SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKb;rport",)),
        response(via=("SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKaa;rport",)),
        response(via=("SIP/2.0/UDP 127.0.0.9:5062;branch=z9hG4bKa;rport",)),
        response(via=("SIP/2.0/UDP 127.0.0.1:5062;rport",)),
        response(via=("SIP/2.0/UDP",)),
        response(via=('SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKa;x="a,',)),
        response(via=()),
        response(via=("",)),
        response(cseq="7 OPTIONS"),
        response(cseq="8 REGISTER"),
        response(cseq="seven REGISTER"),
        response(cseq=""),
        response(call_id="other"),
        response(call_id=""),
        response(sender="<sip:4101@pbx.example>;tag=theirs"),
        response(sender="<sip:4101@pbx.example>;xtag=ours"),
        response(sender="<sip:4101@pbx.example;tag=ours>"),
        response(sender='<sip:4101@pbx.example>;tag="ours'),
        response(sender="<sip:4101@pbx.example>"),
        response(sender=""),
    ],
)
def test_a_wrong_branch_method_cseq_call_id_or_from_tag_is_dropped(stranger: Response) -> None:
    machine = transaction()
    machine.datagrams_to_send()
    assert machine.receive(stranger, START) is None
    assert machine.state is TransactionState.TRYING
    assert machine.get_timer() == START + 0.5


@pytest.mark.parametrize(
    "via",
    [
        (
            "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKa;rport",
            "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx",
        ),
        ("SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKa;r, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx",),
    ],
)
def test_r19_an_answer_with_more_than_one_via_is_discarded(via: tuple[str, ...]) -> None:
    assert transaction().receive(response(via=via), START) is None
