"""Syslog, webhooks and chats against real receivers, which are away, refuse or fail first."""

import base64
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from registrations.alerts import channels, courier, queue
from registrations.alerts.channels import chat, webhook
from registrations.alerts.channels.syslog import LONGEST_OVER_UDP
from registrations.incidents.message import Message, written
from registrations.models import Channel, Delivery
from tests.support.certificates import Authority

pytestmark = pytest.mark.django_db

DATA = {
    "event": "opened",
    "incident": {
        "id": 7,
        "kind": "server_silent",
        "severity": "critical",
        "state": "open",
        "server": 'A "of" [ward]',
    },
}
MESSAGE = written("A of ward is silent", [("What", "It does not answer.")], "", DATA)
SECRET = webhook.SECRET_PREFIX + base64.b64encode(b"k" * 32).decode()


def make(kind: str, secret: str = "", **settings: Any) -> Channel:
    return Channel.objects.create(name="it", kind=kind, settings=settings, secret=secret)


def send(channel: Channel, message: Message = MESSAGE) -> Delivery:
    queue.enqueue(message, channel, timezone.now(), what=Delivery.What.TEST)
    courier.carry_once(channel.pk)
    return Delivery.objects.get()


# -- syslog ----------------------------------------------------------------------------------


def test_a_line_of_syslog_over_udp_is_as_the_rfc_has_it() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        port = receiver.getsockname()[1]
        sent = send(make("syslog", host="127.0.0.1", port=port, transport="udp", facility="local4"))
        line = receiver.recv(4096)
    assert sent.state == "sent" and sent.recipient == f"127.0.0.1:{port}"
    head, _, text = line.partition(b"\xef\xbb\xbf")
    version, stamp, _host, name, _pid, reference, *data = head.decode().split(" ", 6)
    assert version == f"<{8 * 20 + 2}>1" and stamp.endswith("Z") and name == "rollcall"
    assert reference == f"rollcall-delivery-{sent.pk}"
    assert data == [
        '[rollcall@32473 event="opened" id="7" kind="server_silent" severity="critical" '
        'state="open" server="A \\"of\\" [ward\\]"] '
    ]
    assert text.decode() == "A of ward is silent What: It does not answer."


def test_a_long_line_is_cut_for_udp_alone() -> None:
    long = written("A", [("", "x" * 9000)], "", {})
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        port = receiver.getsockname()[1]
        send(make("syslog", host="127.0.0.1", port=port, transport="udp"), long)
        assert len(receiver.recv(65_535)) == LONGEST_OVER_UDP


@contextmanager
def stream_receiver(
    wrap: Callable[[socket.socket], socket.socket] = lambda made: made,
) -> Iterator[tuple[int, list[bytes]]]:
    """Takes one connection and reads it to its end."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def take() -> None:
            plain, _ = listener.accept()
            with wrap(plain) as made:
                made.settimeout(20)
                while data := made.recv(4096):
                    got.append(data)

        thread = threading.Thread(target=take)
        thread.start()
        yield listener.getsockname()[1], got
        thread.join(20)


def test_syslog_over_tcp_counts_its_octets() -> None:
    with stream_receiver() as (port, got):
        sent = send(make("syslog", host="127.0.0.1", port=port, transport="tcp"))
    length, _, line = b"".join(got).partition(b" ")
    assert sent.state == "sent" and int(length) == len(line) and line.startswith(b"<130>1 ")


def test_syslog_over_tls_trusts_whom_it_was_told_to(tmp_path: Path) -> None:
    signer = Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*signer.issue("127.0.0.1").written(tmp_path))
    settings = {"host": "127.0.0.1", "transport": "tls", "ca": signer.certificate}
    with stream_receiver(lambda plain: context.wrap_socket(plain, server_side=True)) as (port, got):
        sent = send(make("syslog", port=port, **settings))
    assert sent.state == "sent" and b"A of ward is silent" in b"".join(got)


def test_a_receiver_that_is_away_is_asked_again() -> None:
    sent = send(make("syslog", host="127.0.0.1", port=1, transport="tcp"))
    assert sent.state == "waiting" and sent.last_answer.startswith("127.0.0.1 cannot be reached")


# -- webhook ---------------------------------------------------------------------------------


class Receiver:
    """What came, and what is answered next; 204 where nothing is said."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, str]]:
    keeps = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            keeps.got.append((self.path, dict(self.headers.items()), body))
            status = keeps.answers.pop(0) if keeps.answers else 204
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """The tests' own output is enough."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield keeps, f"http://127.0.0.1:{server.server_port}/hook?key=hidden"
        server.shutdown()
        thread.join(20)


def test_a_webhook_that_fails_first_gets_the_same_id_again_and_can_check_who_sent_it(
    receiver: tuple[Receiver, str],
) -> None:
    keeps, url = receiver
    keeps.answers = [503, 302]
    channel = make("webhook", SECRET, url=url)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert send(channel).last_answer == "503 Service Unavailable"
        for wait in queue.WAITS_S[:2]:
            clock.shift(timedelta(seconds=wait))
            courier.carry_once(channel.pk)
    sent = Delivery.objects.get()
    assert (sent.state, sent.attempts, sent.last_answer) == ("sent", 3, "204 No Content")
    assert "hidden" not in sent.recipient
    assert [path for path, _, _ in keeps.got] == ["/hook?key=hidden"] * 3, "no redirection followed"
    assert {headers["webhook-id"] for _, headers, _ in keeps.got} == {
        f"rollcall-delivery-{sent.pk}"
    }
    _, headers, body = keeps.got[-1]
    assert json.loads(body)["incident"]["kind"] == "server_silent"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.digest(b"k" * 32, signed, sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"


def test_a_webhook_that_is_gone_is_given_up(receiver: tuple[Receiver, str]) -> None:
    keeps, url = receiver
    keeps.answers = [410]
    assert send(make("webhook", SECRET, url=url)).state == "given_up"


def test_no_webhook_reaches_into_the_machine_of_a_shared_installation(
    receiver: tuple[Receiver, str], settings: Any
) -> None:
    keeps, url = receiver
    settings.ALLOWED_SERVERS = type(settings.ALLOWED_SERVERS)()
    sent = send(make("webhook", SECRET, url=url))
    assert not keeps.got and "loopback" in sent.last_answer
    assert sent.state == "given_up", "no other attempt would be allowed either"
    Delivery.objects.all().delete()
    Channel.objects.update(settings={"url": "http://169.254.169.254/latest/meta-data"})
    assert "metadata" in send(Channel.objects.get()).last_answer


@pytest.mark.parametrize("secret", ["whsec_***", "whsec_c2hvcnQ="])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        webhook.key_of(secret)


@pytest.mark.parametrize(
    ("kind", "secret", "settings"),
    [
        ("webhook", "", {"url": "http://127.0.0.1:1/"}),
        ("webhook", "whsec_***", {"url": "http://127.0.0.1:1/"}),
        ("webhook", SECRET, {"url": f"http://{'a' * 64}.example/"}),
        ("chat", "nowhere", {}),
    ],
)
def test_a_channel_that_cannot_be_used_says_so_in_its_log(
    kind: str, secret: str, settings: dict[str, str]
) -> None:
    sent = send(make(kind, secret, **settings))
    assert (sent.state, sent.attempts) == ("waiting", 1), "it can be mended"
    assert "cannot be" in sent.last_answer


def test_a_webhook_whose_path_is_no_http_says_so_and_not_its_path(
    receiver: tuple[Receiver, str],
) -> None:
    sent = send(make("webhook", SECRET, url=receiver[1] + "\xe4"))
    assert "cannot be used as it is" in sent.last_answer and "hidden" not in sent.last_answer


# -- chats -----------------------------------------------------------------------------------


def test_a_chat_is_told_through_apprise_and_its_key_is_shown_nowhere(
    receiver: tuple[Receiver, str], caplog: pytest.LogCaptureFixture
) -> None:
    keeps, url = receiver
    port = url.rpartition(":")[2].partition("/")[0]
    key = "ntfy-topic-of-the-ward"
    channel = make("chat", f"ntfy://127.0.0.1:{port}/{key}")
    keeps.answers = [500, 200]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert send(channel).state == "waiting"
        clock.shift(timedelta(seconds=queue.WAITS_S[0]))
        courier.carry_once(channel.pk)
    sent = Delivery.objects.get()
    assert sent.state == "sent" and b"It does not answer." in keeps.got[-1][2]
    assert key not in f"{sent.recipient} {sent.last_answer} {caplog.text}"


@pytest.mark.parametrize("url", ["nowhere", "json://127.0.0.1/x", "dbus://"])
def test_what_is_no_chat_is_refused_by_its_line(url: str) -> None:
    with pytest.raises(ValueError, match="Line 2"):
        chat.services(f"ntfy://topic\n{url}")


def test_each_kind_of_channel_has_a_sender() -> None:
    assert set(channels.SENDERS) == set(Channel.Kind)
