"""The policy's table against the handset's guide, and against the vocabulary of the agents."""

from dataclasses import fields

import pytest

from fleet.formats.policy import LARGEST, PARAMETERS, contradictions, our_name, read_policy
from fleet.models import ServerGroup
from registrations.values import FailBackMode, Policy

RANGES = [
    ("expires", [10, 3600, LARGEST], [9, 0, LARGEST + 1]),
    ("expires_overlap", [5, 60, 65535], [4, 65536]),
    ("retry_max_count", [0, 3, 20], [21, -1]),
    ("retry_timeout", [0, 65535], [65536, -1]),
    ("register_retry_base", [10, 120], [9, 121]),
    ("register_retry_max", [60, 1800], [59, 1801]),
    ("fail_back_timeout", [0, 60, 65535], [1, 59, 65536]),
    ("max_registrations_per_second", [0, 200], [-1, 100_001]),
]
"""Permitted and refused values, as the guide's tables have them."""


@pytest.mark.parametrize(("name", "permitted", "refused"), RANGES)
def test_a_number_is_permitted_exactly_within_its_ranges(
    name: str, permitted: list[int], refused: list[int]
) -> None:
    for value in permitted:
        assert PARAMETERS[name].read(value) == value
        assert PARAMETERS[name].read(str(value)) == value
    for value in refused:
        with pytest.raises(ValueError, match=name):
            PARAMETERS[name].read(value)


@pytest.mark.parametrize("word", ["", "1.5", "0x10", "1_000", "٣", "ten", "9" * 400, "true"])
def test_what_is_no_whole_number_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="expires"):
        PARAMETERS["expires"].read(word)


def test_a_refusal_names_the_parameter_the_guides_name_and_what_is_permitted() -> None:
    with pytest.raises(ValueError) as refused:
        PARAMETERS["fail_back_timeout"].read(30)
    assert str(refused.value) == (
        "fail_back_timeout (failOver.failBack.timeout) must be 0 or 60 to 65535 seconds, not '30'."
    )
    with pytest.raises(ValueError, match="new_requests, dns_ttl, registration or duration"):
        PARAMETERS["fail_back_mode"].read("sometimes")
    with pytest.raises(ValueError, match="true or false"):
        PARAMETERS["re_register_on"].read("maybe")


@pytest.mark.parametrize(
    ("word", "value"), [("1", True), ("Yes", True), ("0", False), ("off", False)]
)
def test_a_switch_is_read_as_the_guide_and_as_yaml_write_it(word: str, value: bool) -> None:
    assert PARAMETERS["re_register_on"].read(word) is value


def test_every_default_is_itself_permitted() -> None:
    for parameter in PARAMETERS.values():
        assert parameter.read(parameter.default) == parameter.default


def test_names_and_defaults_are_those_of_the_model_and_of_the_agents() -> None:
    of_agents = {field.name: field.default for field in fields(Policy)}
    assert {name: parameter.default for name, parameter in PARAMETERS.items()} == of_agents
    group = ServerGroup()
    assert {name: getattr(group, name) for name in PARAMETERS} == of_agents
    assert set(PARAMETERS["fail_back_mode"].choices) == {mode.value for mode in FailBackMode}


def test_every_wrong_parameter_is_told_and_the_right_ones_are_kept() -> None:
    values, wrong = read_policy({"expires": "20", "expirse": "1", "retry_timeout": "-1"})
    assert values == {"expires": 20}
    assert set(wrong) == {"expirse", "retry_timeout"}


def test_re_register_on_is_refused_on_a_fallback_group_alone() -> None:
    assert (
        "only to failover groups"
        in contradictions("fallback", {"re_register_on": True})["re_register_on"]
    )
    assert contradictions("fallback", {"re_register_on": False}) == {}
    assert contradictions("failover", {"re_register_on": True}) == {}


@pytest.mark.parametrize("mode", ["new_requests", "dns_ttl", "registration", "duration"])
def test_all_four_failback_modes_are_permitted(mode: str) -> None:
    assert read_policy({"fail_back_mode": mode}) == ({"fail_back_mode": mode}, {})
    assert contradictions("failover", {"fail_back_mode": mode}) == {}


@pytest.mark.parametrize(
    ("word", "mode"),
    [("DNSTTL", "dns_ttl"), ("newRequests", "new_requests"), ("dnsttl", "dns_ttl")],
)
def test_the_guides_word_for_a_choice_is_read_too(word: str, mode: str) -> None:
    assert PARAMETERS["fail_back_mode"].read(word) == mode


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("failOver.failBack.mode", "fail_back_mode"),
        ("voIpProt.server.1.failOver.failBack.mode", "fail_back_mode"),
        ("reg.1.server.2.RETRYMAXCOUNT", "retry_max_count"),
        ("reg.2.outboundProxy.failOver.reRegisterOn", "re_register_on"),
        ("voIpProt.SIP.failoverOn503Response", "failover_on_503"),
        ("voIpProt.server.x.failOver.RegisterOn", "re_register_on"),
        ("expires", "expires"),
        ("voIpProt.server.x.expires.overlap", "expires_overlap"),
        ("voIpProt.server.x.", "voIpProt.server.x."),
        ("expires.lineSeize", "expires.lineSeize"),
    ],
)
def test_a_parameter_may_be_called_as_the_guide_calls_it(given: str, name: str) -> None:
    assert our_name(given) == name


def test_every_parameter_answers_to_its_full_name_in_the_guide() -> None:
    for parameter in PARAMETERS.values():
        if parameter.guide_name:
            assert our_name(parameter.guide_name) == parameter.name


def test_a_policy_in_the_guides_words_is_read() -> None:
    values, wrong = read_policy({"failOver.failBack.mode": "DNSTTL", "retryTimeOut": "500"})
    assert (values, wrong) == ({"fail_back_mode": "dns_ttl", "retry_timeout": 500}, {})


def test_a_parameter_set_under_both_names_is_a_fault() -> None:
    _, wrong = read_policy({"expires_overlap": "60", "expires.overlap": "90"})
    assert wrong == {
        "expires.overlap": "This is expires_overlap, which 'expires_overlap' sets already."
    }


def test_what_the_guide_leaves_open_has_the_value_it_had_as_a_constant() -> None:
    open_ones = {
        "failover_on_503": True,
        "failover_on_408": True,
        "retry_waits_after_last": True,
        "register_list_scope": "own_group",
        "tcp_fast_failover": False,
        "on_mass_rejection": "stay",
        "refuse_md5": False,
    }
    assert {name: PARAMETERS[name].default for name in open_ones} == open_ones
    with pytest.raises(ValueError, match="register_list_scope must be own_group or all, not"):
        PARAMETERS["register_list_scope"].read("first")
    with pytest.raises(ValueError, match=r"failover_on_503 \(failoverOn503Response\) must be true"):
        PARAMETERS["failover_on_503"].read("sometimes")


def test_a_number_beyond_every_range_is_told_so() -> None:
    with pytest.raises(ValueError, match="expires .* must be at most 2147483647"):
        PARAMETERS["expires"].read("3000000000")
