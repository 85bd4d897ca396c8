"""DNS_SERVERS: who is asked for names."""

import pytest

from fleet.config import env


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("", None),
        ("none", []),
        ("10.0.0.1", [("10.0.0.1", 53)]),
        (" 10.0.0.1:5353 , 10.0.0.2", [("10.0.0.1", 5353), ("10.0.0.2", 53)]),
        (
            "[::1]:5353,2001:db8::1,[2001:db8::2]",
            [("::1", 5353), ("2001:db8::1", 53), ("2001:db8::2", 53)],
        ),
    ],
)
def test_servers_are_addresses_with_a_port_or_without(
    given: str, read: list[tuple[str, int]] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DNS_SERVERS", given)
    assert env.dns_servers("DNS_SERVERS") == read


@pytest.mark.parametrize("given", ["dns.example", "10.0.0.1:0", "10.0.0.1:x", "10.0.0.1:70000"])
def test_what_is_no_server_is_refused_by_name(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNS_SERVERS", given)
    with pytest.raises(env.Refusal, match="DNS_SERVERS must be addresses"):
        env.dns_servers("DNS_SERVERS")
