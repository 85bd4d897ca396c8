"""The queue of messages against a real mail server: taken, put off, given up, never lost."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from registrations.alerts import courier, queue
from registrations.backup import awakening
from registrations.incidents.message import written
from registrations.models import AlertRule, Channel, Delivery
from tests.support import smtp
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db

MESSAGE = written("A of ward silent", [("What", "A <b>does not</b> answer.")], "https://x/1", {})


def make_channel(*to: str, **more: Any) -> Channel:
    addresses = {"to": list(to or ("night@hospital.example",))}
    return Channel.objects.create(name="night", kind="email", settings=addresses, **more)


def send(channel: Channel) -> int:
    queue.enqueue(MESSAGE, channel, timezone.now(), what=Delivery.What.TEST)
    return courier.carry_once(channel.pk)


def test_each_recipient_gets_a_mail_of_its_own(sink: smtp.Sink) -> None:
    assert send(make_channel("a@x.example", "b@x.example")) == 2
    assert sink.recipients == ["a@x.example", "b@x.example"]
    mail = sink.mails[0]
    assert mail["Subject"] == "[Rollcall] A of ward silent"
    assert mail["From"] == "rollcall@hospital.example" and mail["To"] == "a@x.example"
    text = mail.get_body(("plain",))
    html = mail.get_body(("html",))
    assert text is not None and "A <b>does not</b> answer." in text.get_content()
    assert html is not None and "&lt;b&gt;does not&lt;/b&gt;" in html.get_content()
    sent = Delivery.objects.all()
    assert {d.state for d in sent} == {"sent"} and {d.attempts for d in sent} == {1}


def test_a_mail_that_is_put_off_is_tried_again_and_again_under_the_same_id(
    sink: smtp.Sink,
) -> None:
    sink.answer = "451 try later"
    channel = make_channel()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        send(channel)
        waiting = Delivery.objects.get()
        assert (waiting.state, waiting.last_answer) == ("waiting", "451 try later")
        assert courier.carry_once(channel.pk) == 0, "not before its time"
        clock.shift(timedelta(seconds=queue.WAITS_S[0]))
        assert courier.carry_once(channel.pk) == 1
        sink.answer = ""
        clock.shift(timedelta(seconds=queue.WAITS_S[1]))
        assert courier.carry_once(channel.pk) == 1
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, sink.asked) == ("sent", 3, 3)
    assert sink.mails[0]["Message-ID"] == f"<rollcall-delivery-{delivery.pk}@hospital.example>"


def test_who_does_not_exist_is_given_up_at_once_and_the_others_are_told(sink: smtp.Sink) -> None:
    sink.refused = {"gone@x.example": "550 no such user"}
    send(make_channel("gone@x.example", "b@x.example"))
    states = dict(Delivery.objects.values_list("recipient", "state"))
    assert states == {"gone@x.example": "given_up", "b@x.example": "sent"}
    assert Delivery.objects.get(state="given_up").last_answer == "550 no such user"


def test_a_mail_server_that_is_away_costs_retries_for_a_day_and_no_more(settings: Any) -> None:
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    channel = make_channel()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        send(channel)
        assert "refused" in Delivery.objects.get().last_answer.lower()
        clock.shift(queue.GIVES_UP)
        courier.carry_once(channel.pk)
    assert Delivery.objects.get().state == "given_up"


def test_without_a_mail_server_the_log_says_so(settings: Any) -> None:
    settings.EMAIL_HOST = ""
    send(make_channel())
    assert Delivery.objects.get().last_answer == "No mail server is named: set SMTP_URL."


def test_a_message_at_which_its_sender_breaks_is_noted_and_tried_again(sink: smtp.Sink) -> None:
    channel = make_channel()
    queue.enqueue(MESSAGE, channel, timezone.now(), what=Delivery.What.TEST)
    Delivery.objects.update(message={"unknown": 1})
    with pytest.raises(TypeError):
        courier.carry_once(channel.pk)
    noted = Delivery.objects.get()
    assert (noted.state, noted.last_answer) == ("waiting", courier.BROKE)
    assert noted.lease_token is None


def test_a_claim_whose_sender_died_comes_back_by_itself(sink: smtp.Sink) -> None:
    channel = make_channel()
    now = timezone.now()
    queue.enqueue(MESSAGE, channel, now, what=Delivery.What.TEST)
    (lost,) = queue.claim(channel.pk, now)
    assert queue.claim(channel.pk, now) == [], "one sender at a time"
    later = now + queue.LEASE
    (again,) = queue.claim(channel.pk, later)
    assert again.attempts == 2
    queue.note(lost, None, later)
    assert Delivery.objects.get().state == "waiting", "who lost the lease writes nothing"


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_was_never_queued() -> None:
    channel = make_channel()
    with pytest.raises(RuntimeError), transaction.atomic():
        queue.enqueue(MESSAGE, channel, timezone.now(), what=Delivery.What.TEST)
        raise RuntimeError
    assert not Delivery.objects.exists()


def test_a_channel_that_is_off_keeps_its_messages(sink: smtp.Sink) -> None:
    channel = make_channel(is_on=False)
    send(channel)
    assert Delivery.objects.get().last_answer == "The channel is off." and not sink.mails
    Channel.objects.update(is_on=True)
    queue.try_again([Delivery.objects.get().pk], timezone.now())
    courier.carry_once(channel.pk)
    assert len(sink.mails) == 1


def test_messages_leave_in_a_thread_of_their_own(database: str, sink: smtp.Sink) -> None:
    channel = make_channel(*(f"{n}@x.example" for n in range(9)))
    queue.enqueue(MESSAGE, channel, timezone.now(), what=Delivery.What.TEST)
    courier.rouse()
    wait_until(lambda: Delivery.objects.filter(state="sent").count() == 9, 30, "nine sent mails")
    assert len(sink.mails) == 9


def test_a_restored_copy_sends_nothing_that_waited_and_a_waiting_one_tells_nobody() -> None:
    channel = make_channel()
    AlertRule.objects.create(name="all").channels.add(channel)
    queue.enqueue(MESSAGE, channel, timezone.now(), what=Delivery.What.TEST)
    awakening.forget_places(timezone.now().timestamp())
    assert Delivery.objects.get().state == "given_up"
    assert AlertRule.objects.get().is_on
    awakening.let_wait()
    assert not AlertRule.objects.get().is_on
