"""The policy's table against the handset's guide, and against the vocabulary of the agents."""

from dataclasses import fields

import pytest

from fleet.formats.policy import LARGEST, PARAMETERS, contradictions, read_policy
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


def test_failback_by_dns_ttl_is_refused_for_now_with_the_reason() -> None:
    wrong = contradictions("failover", {"fail_back_mode": "dns_ttl"})
    assert "over UDP to literal IP addresses" in wrong["fail_back_mode"]
