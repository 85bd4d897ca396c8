"""The page of imports in Chromium: a zip looked through while one watches, then imported."""

import csv
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Page, expect

from fleet import import_orders, services
from fleet.models import Handset, ImportJob, Line
from tests.registrations.live_web import log_in, whole
from tests.support import trees

pytestmark = pytest.mark.django_db(transaction=True)

WAIT_MS = 60_000
HANDSETS = 1200
TABLE = (
    "mac,extension,domain,group,site,supervision\n"
    "00907a000001,4101,a.example,ward,main,off\n"
    "00907a000002,41 02,a.example,ward,main,off\n"
)


@contextmanager
def working(gate: threading.Event | None = None) -> Iterator[None]:
    """Whoever does what waits beside a worker; half of the way it stands still until `gate`."""
    read_files = services.read_files

    def read(files: Any, site: str | None, tell: Any) -> Any:
        def told(done: int, total: int) -> None:
            tell(done, total)
            if gate is not None and total and done >= total // 2:
                gate.wait(60)

        return read_files(files, site, told)

    def work() -> None:
        try:
            services.read_files = read
            import_orders.make(ImportJob.objects.latest("pk").pk)
        finally:
            services.read_files = read_files
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        if gate is not None:
            gate.set()
        thread.join(60)


def zipped(path: Path, files: trees.Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def test_a_zip_is_looked_through_and_imported_while_one_watches(
    live_redis: str, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_orders, "TELL_S", 0)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    web = whole()
    try:
        log_in(page, web)
        page.goto(f"http://127.0.0.1:{web.port}/import/")
        tree = zipped(tmp_path / "tftp.zip", trees.ward(HANDSETS))
        page.locator("input[name=files]").set_input_files(tree)
        page.get_by_role("button", name="Look through").click()
        main = page.locator("#import")
        expect(main).to_contain_text("A worker takes it up within seconds.")
        gate = threading.Event()
        with working(gate):
            bar = main.get_by_role("progressbar")
            expect(bar).to_have_attribute("max", str(2 * (HANDSETS + 2)), timeout=WAIT_MS)
            expect(main).to_contain_text("steps: each file is read")
            gate.set()
            expect(main).to_contain_text("What would be imported", timeout=WAIT_MS)
        expect(main).to_contain_text("1,200 new, 0 changed, 0 as they are")
        expect(main).to_contain_text("No further line registers.")
        assert not Handset.objects.exists()
        main.get_by_role("button", name="Import", exact=True).click()
        expect(main).to_contain_text("A worker takes it up within seconds.")
        with working():
            expect(main).to_contain_text("What it did", timeout=WAIT_MS)
        assert Line.objects.filter(supervision="observe").count() == HANDSETS
        assert faults == []
    finally:
        web.stop()


def test_faults_are_shown_downloaded_and_left_out_by_choice(live_redis: str, page: Page) -> None:
    servers = "servers: [{address: 192.0.2.10}]"
    fleet = f"sites: [{{name: main}}]\ngroups: [{{name: ward, mode: failover, {servers}}}]".encode()
    services.import_files([("fleet.yaml", fleet)], by="ann")
    web = whole()
    try:
        log_in(page, web)
        page.goto(f"http://127.0.0.1:{web.port}/import/")
        page.locator("input[name=files]").set_input_files(
            {"name": "h.csv", "mimeType": "text/csv", "buffer": TABLE.encode()}
        )
        page.get_by_role("button", name="Look through").click()
        main = page.locator("#import")
        expect(main.get_by_role("row").nth(1)).to_contain_text("extension")
        with page.expect_download() as downloading:
            main.get_by_role("link", name="All as CSV").click()
        text = Path(downloading.value.path()).read_text(encoding="utf-8-sig")
        [fault] = csv.DictReader(io.StringIO(text))
        assert (fault["file"], fault["row"], fault["field"]) == ("h.csv", "3", "extension")
        main.get_by_role("button", name="Import what is right").click()
        expect(main).to_contain_text("What it did", timeout=WAIT_MS)
        assert [handset.mac for handset in Handset.objects.all()] == ["00907a000001"]
    finally:
        web.stop()
