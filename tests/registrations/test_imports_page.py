"""The page of imports: files up, faults and changes shown, imported when somebody says so."""

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from fleet.models import Handset, ImportJob, Line, ServerGroup
from fleet.roles import Role
from tests.support import trees
from tests.support.rows import make_user

pytestmark = pytest.mark.django_db

BAD = b"mac,extension,domain,group,site,supervision\nzz,1,a.example,no,main,off\n"


@pytest.fixture
def asked(client: Client) -> Client:
    client.force_login(make_user(role=Role.CONFIGURER))
    return client


def upload(client: Client, *files: tuple[str, bytes]) -> str:
    sent = [SimpleUploadedFile(name, data) for name, data in files]
    answer = client.post("/import/", {"files": sent, "site": ""})
    assert answer.status_code == 302
    return str(answer.headers["Location"])


def test_a_tree_is_shown_and_then_imported(asked: Client) -> None:
    page = upload(asked, *trees.spectralink())
    shown = asked.get(page).content.decode()
    assert "nothing is changed yet" in shown
    assert "1 new" in shown
    assert "failOver.reRegisterOn" in shown
    assert not Handset.objects.exists()
    assert asked.post(f"{page}go/").status_code == 302
    assert "What it did" in asked.get(page).content.decode()
    assert Line.objects.get().supervision == "observe"


def test_faults_are_shown_by_file_row_and_field_and_downloaded(asked: Client) -> None:
    page = upload(asked, ("h.csv", BAD))
    shown = asked.get(page).content.decode()
    assert "twelve hexadecimal digits" in shown
    assert "go/" not in shown
    table = asked.get(f"{page}faults.csv").content.decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert ("fault", "h.csv", "2", "mac") in [
        (row["kind"], row["file"], row["row"], row["field"]) for row in rows
    ]


def test_no_file_is_said(asked: Client) -> None:
    answer = asked.post("/import/", {})
    assert answer.status_code == 400
    assert "Choose at least one file." in answer.content.decode()


def test_an_import_is_discarded_with_its_files(asked: Client) -> None:
    page = upload(asked, *trees.spectralink())
    asked.post(f"{page}delete/")
    assert not ImportJob.objects.exists()
    assert asked.get(page).status_code == 404


def test_the_page_names_each_column_and_gives_an_empty_table(asked: Client) -> None:
    assert "Twelve hexadecimal digits" in asked.get("/import/").content.decode()
    assert asked.get("/import/columns.csv").content.startswith(b"mac,line,name,")


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_who_configures_imports(client: Client, role: str) -> None:
    client.force_login(make_user(role=Role[role.upper()]))
    for address in (
        "/import/",
        "/import/columns.csv",
        "/import/1/",
        "/import/1/faults.csv",
        "/import/fleet.yaml",
    ):
        assert client.get(address).status_code == 403
    for address in ("/import/", "/import/1/go/", "/import/1/delete/"):
        assert client.post(address).status_code == 403


def test_the_fleet_is_downloaded_and_comes_back_unchanged(asked: Client) -> None:
    asked.post(f"{upload(asked, *trees.spectralink())}go/")
    for ending in ("yaml", "xlsx", "csv"):
        answer = asked.get(f"/import/fleet.{ending}")
        assert f"fleet.{ending}" in answer.headers["Content-Disposition"]
        shown = asked.get(upload(asked, (f"fleet.{ending}", answer.content))).content.decode()
        assert "0 new, 0 changed, 1 as they are" in shown
        assert "pw-4101" not in shown + answer.content.decode(errors="ignore")
    assert asked.get("/import/fleet.pdf").status_code == 404


def test_a_group_is_downloaded_as_its_handsets_are_told_it(asked: Client) -> None:
    asked.post(f"{upload(asked, *trees.spectralink())}go/")
    group = ServerGroup.objects.get()
    text = asked.get(f"/groups/{group.pk}/site.cfg").content.decode()
    assert "voIpProt.server.1.failOver.failBack.mode" in text
    assert "dns.cache.A.1.address" in text
