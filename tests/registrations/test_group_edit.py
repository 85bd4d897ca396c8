"""Editing a group and its policy on its page: who may, what is refused, what is announced."""

import re
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client

from fleet.formats.policy import PARAMETERS
from fleet.models import Server, ServerGroup
from fleet.roles import Role
from registrations.models import Registration, State
from tests.support.rows import make_group, make_registration, make_user

pytestmark = pytest.mark.django_db


def signed_in(role: Role = Role.CONFIGURER) -> Client:
    client = Client()
    client.force_login(make_user(f"some-{role.word}", role))
    return client


def form(**changes: Any) -> dict[str, str]:
    values = {name: str(parameter.default) for name, parameter in PARAMETERS.items()}
    values |= {"name": "ward", "mode": "failover"}
    return values | {name: str(value) for name, value in changes.items()}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_configure_neither_sees_nor_sets_it(role: Role) -> None:
    group = make_group()
    client = signed_in(role)
    assert "/edit/" not in client.get(f"/groups/{group.pk}/").content.decode()
    assert client.get(f"/groups/{group.pk}/edit/").status_code == 403
    answer = client.post(f"/groups/{group.pk}/edit/", form(expires=600))
    assert answer.status_code == 403
    group.refresh_from_db()
    assert group.expires == 3600


def test_the_form_shows_every_parameter_by_the_guides_name_with_its_value() -> None:
    group = make_group(expires=600, re_register_on=True, fail_back_mode="dns_ttl")
    page = signed_in().get(f"/groups/{group.pk}/edit/").content.decode().replace("<wbr>", "")
    for parameter in PARAMETERS.values():
        assert (parameter.guide_name or parameter.name) in page
        assert f'name="{parameter.name}"' in page
    assert 'value="600"' in page
    assert re.search(r'value="dns_ttl" selected>DNSTTL<', page)
    assert re.search(r'id="id_re_register_on".*?value="true" selected', page, re.S)


def test_a_policy_that_is_right_is_set_and_its_handsets_are_woken() -> None:
    group = make_group()
    row = make_registration(group, State.PRIMARY)
    before = Registration.objects.get(pk=row.pk).wish_version
    answer = signed_in().post(
        f"/groups/{group.pk}/edit/",
        form(expires=600, fail_back_mode="duration", fail_back_timeout=120, re_register_on="true"),
        follow=True,
    )
    assert "The policy is set" in answer.content.decode()
    group.refresh_from_db()
    assert (group.expires, group.fail_back_mode, group.fail_back_timeout) == (600, "duration", 120)
    assert group.re_register_on is True
    assert Registration.objects.get(pk=row.pk).wish_version > before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fail_back_timeout": 30}, "must be 0 or 60 to 65535 seconds, not &#x27;30&#x27;."),
        ({"fail_back_mode": "sometimes"}, "must be new_requests, dns_ttl, registration or"),
        ({"expires": ""}, "expires (expires) must be at least 10 seconds"),
    ],
)
def test_a_wrong_value_is_told_by_name_and_nothing_is_set(
    change: dict[str, Any], sentence: str
) -> None:
    group = make_group()
    given = form(retry_max_count=5) | {name: str(value) for name, value in change.items()}
    answer = signed_in().post(f"/groups/{group.pk}/edit/", given)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    group.refresh_from_db()
    assert group.retry_max_count == 3


def test_re_register_on_is_refused_on_a_fallback_group_with_the_reason() -> None:
    group = make_group(mode="fallback")
    given = form(mode="fallback", re_register_on="true")
    answer = signed_in().post(f"/groups/{group.pk}/edit/", given)
    assert answer.status_code == 422
    assert "applies only to failover groups" in answer.content.decode()


def test_the_preview_says_what_handsets_would_do_and_sets_nothing() -> None:
    group = make_group()
    answer = signed_in().get(
        f"/groups/{group.pk}/edit/",
        form(retry_timeout=500, re_register_on="true"),
        headers={"HX-Request": "true"},
    )
    words = answer.content.decode()
    assert "<html" not in words
    assert "gives the server up at 2 s" in words
    group.refresh_from_db()
    assert (group.retry_timeout, group.re_register_on) == (0, False)


def test_a_wrong_value_is_told_beside_its_field_while_it_is_typed() -> None:
    answer = signed_in().get(
        f"/groups/{make_group().pk}/edit/", form(expires="1"), headers={"HX-Request": "true"}
    )
    words = answer.content.decode()
    told = re.findall(r'id="fault-(\w+)" hx-swap-oob="true">([^<]*)<', words)
    assert {name for name, fault in told if fault} == {"expires"}
    assert len(told) == len(PARAMETERS), "a fault that is mended goes away too"


def test_the_preview_says_how_long_a_death_would_last_by_the_new_policy() -> None:
    group = make_group(re_register_on=True)
    for _ in range(10):
        make_registration(group, State.PRIMARY)
    page = f"/groups/{group.pk}/edit/"
    given = form(re_register_on="true", max_registrations_per_second=1)
    words = signed_in().get(page, given, headers={"HX-Request": "true"}).content.decode()
    assert "20 s at the cap of 1 a second" in words
    group.refresh_from_db()
    assert group.max_registrations_per_second == 200


RECORD = "pbx.example 600 A 192.0.2.10"


def named_group() -> ServerGroup:
    group = make_group(servers=0)
    Server.objects.create(group=group, priority=1, address="pbx.example", port=0)
    return group


def test_dns_records_of_its_own_are_set_told_audited_and_reach_the_agents() -> None:
    group = named_group()
    row = make_registration(group)
    client = signed_in()
    edit = f"/groups/{group.pk}/edit/"
    typed = (
        "PBX.example. 600 IN A 192.0.2.10 ; the primary\r\n\r\n"
        "_sip._udp.pbx.example SRV 1 0 5060 pbx.example"
    )
    assert client.post(edit, form(dns_cache=typed)).status_code == 302
    assert [str(record) for record in group.dns_records.all()] == [
        "pbx.example A",
        "_sip._udp.pbx.example SRV",
    ]
    assert Registration.objects.get(pk=row.pk).wish == "resume"
    kept = f"{RECORD}\n_sip._udp.pbx.example 300 SRV 1 0 5060 pbx.example"
    assert kept in client.get(edit).content.decode()
    assert kept in client.get(f"/groups/{group.pk}/").content.decode()
    record = group.dns_records.get(kind="A")
    told = LogEntry.objects.get_for_object(group).filter(changes__has_key="dns_cache").get()
    assert told.changes["dns_cache"] == ["", kept.replace("\n", ", ")]
    assert told.actor.username == "some-Configurer"
    assert not LogEntry.objects.get_for_object(record).exists(), "one entry for all of them"
    assert client.post(edit, form(expires=600, dns_cache=kept)).status_code == 302
    assert group.dns_records.get(kind="A") == record, "what was so already is not written anew"


def test_a_wrong_record_is_told_by_its_line_and_nothing_is_set() -> None:
    group = named_group()
    given = form(expires=600, dns_cache=f"{RECORD}\npbx.example A ::1")
    answer = signed_in().post(f"/groups/{group.pk}/edit/", given)
    assert answer.status_code == 422
    assert "Line 2: The address must be an IPv4 address" in answer.content.decode()
    assert "pbx.example A ::1" in answer.content.decode()
    group.refresh_from_db()
    assert group.expires == 3600 and not group.dns_records.exists()


def test_the_preview_goes_by_the_records_that_are_typed() -> None:
    group, client = named_group(), signed_in()

    def previewed(records: str) -> str:
        given, asks = form(dns_cache=records), {"HX-Request": "true"}
        return client.get(f"/groups/{group.pk}/edit/", given, headers=asks).content.decode()

    assert "must be asked of DNS" in previewed("")
    assert "must be asked of DNS" not in previewed(RECORD)
    assert "No server of this group asks for pxb.example" in previewed("pxb.example A 192.0.2.1")
    assert "Line 1: The type must be A, SRV or NAPTR" in previewed("pbx.example MX mail")
    assert not group.dns_records.exists()


def test_records_that_somebody_changed_meanwhile_are_not_overwritten() -> None:
    group, client = named_group(), signed_in()
    edit = f"/groups/{group.pk}/edit/"
    seen = client.get(edit).context["form"].seen
    client.post(edit, form(dns_cache=RECORD))
    late = client.post(edit, form(dns_cache="pbx.example A 192.0.2.99", seen=seen))
    assert late.status_code == 422
    words = late.content.decode()
    assert "Somebody changed this while you had it open." in words
    assert f"Records (dns.cache): nothing → {RECORD}" in words
    assert group.dns_records.get().address == "192.0.2.10"
