"""An audit in a real browser while things break, on SQLite and on PostgreSQL: no key that was pressed is lost, none counts twice."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import ROOT, start_server

KEYS = (["1"] * 9 + ["2"]) * 5


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose workspace "sample" holds the sample's training records and no result."""
    from core.dataset.importing import import_file
    from core.workspace import open_workspace

    folder = tmp_path_factory.mktemp("home")
    path = ROOT / "sample_data" / "training.jsonl"
    open_workspace(folder / "sample").add("training", path.name, lambda part: import_file(path, part, "training"))
    return folder


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def where(request, home):
    """The database of the module's audits."""
    if request.param == "sqlite":
        return str(home / "sample" / "reviews.sqlite")
    return request.getfixturevalue("postgres").fresh()


class App:
    """The app over one database; it can be killed and started again at the same address."""

    def __init__(self, home, where, log):
        self.home, self.where, self.log = home, where, log
        self.process, self.url = start_server(ROOT / "app.py", log, env=self.env(where))

    def env(self, where):
        url = where if "://" in where else ""
        told = {"QUADRANT_HOME": str(self.home), "QUADRANT_DATA": "", "USER": "ada", "QUADRANT_DATABASE_URL": url}
        return told | {"QUADRANT_OPEN": "sample"}

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def again(self, where=None):
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(ROOT / "app.py"),
            f"--server.port={urlsplit(self.url).port}",
        ]
        command += ["--server.address=127.0.0.1", "--server.headless=true", "--server.fileWatcherType=none"]
        env = {**os.environ, "PYTHONPATH": str(ROOT), **self.env(where or self.where)}
        with open(self.log, "ab") as sink:
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=sink, stderr=sink)


@pytest.fixture
def app(home, where, tmp_path):
    """A running app without a sample or a verdict."""
    from core.review.schema import open_store, tables, writing

    store = open_store(where)
    t = tables()
    with writing(store) as connection:
        for table in reversed(t.metadata.sorted_tables):
            if table.name != "quadrant_meta":
                connection.execute(table.delete())
    store.engine.dispose()
    running = App(home, where, tmp_path / "log.txt")
    yield running
    running.kill()


def ready(page, wait_idle):
    page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=60_000)
    wait_idle(page)


def start(page, app, wait_idle):
    page.goto(f"{app.url}/audit")
    page.get_by_role("button", name="Draw 50 and start reading").click(timeout=60_000)
    ready(page, wait_idle)


def reopened(page, wait_idle):
    """The page again, from a server that has just been started."""
    deadline = time.monotonic() + 90
    while True:
        try:
            page.reload()
            break
        except Exception:
            assert time.monotonic() < deadline
            page.wait_for_timeout(200)
    ready(page, wait_idle)


def saved(page, timeout=60_000):
    page.wait_for_selector(".reviewer .save[data-state=saved]", timeout=timeout)


def state_is(page, name, timeout=30_000):
    page.wait_for_selector(f".reviewer .save[data-state={name}]", timeout=timeout)


def stored(where):
    from core.review.samples import samples
    from core.review.schema import open_store
    from core.review.verdicts import all_verdicts

    store = open_store(where)
    found = all_verdicts(store, samples(store)[0].id)
    store.engine.dispose()
    return found


def fifty(where):
    """Fifty verdicts, one a record, with the outcomes of the keys in their order."""
    found = stored(where)
    assert len(found) == 50 and len({one.record_id for one in found}) == 50
    assert sorted(one.outcome for one in found) == ["fail"] * 5 + ["pass"] * 45


def test_fifty_records_by_keyboard_in_ten_seconds(app, where, page, wait_idle):
    start(page, app, wait_idle)
    began = time.monotonic()
    for key in KEYS:
        page.keyboard.press(key)
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # a machine that others load types as much slower
    assert time.monotonic() - began < 10 * busy
    saved(page)
    fifty(where)


def given(page):
    """How many records the reviewer shows as judged; None while it is not on the screen."""
    tally = page.locator(".reviewer .tally")
    told = tally.inner_text() if tally.count() else ""
    found = re.match(r"(\d+) read", told)
    return 50 if told.startswith("All read") else int(found[1]) if found else None


def test_the_server_is_killed_and_comes_back_while_keys_are_pressed(app, where, page, wait_idle):
    """What the reviewer showed as given is in the database once, whenever it was given: before, during and after the outage."""
    start(page, app, wait_idle)
    for key in KEYS[:13]:
        page.keyboard.press(key)
    saved(page)
    app.kill()
    for key in KEYS[13:26]:
        page.keyboard.press(key)
    state_is(page, "offline")
    assert given(page) == 26 and len(stored(where)) == 13, "what was acknowledged is stored, the rest is kept here"
    app.again()
    deadline = time.monotonic() + 120
    while (
        n := given(page)
    ) != 50:  # a person looks whether the reviewer has gone on, and presses again where it has not
        assert time.monotonic() < deadline
        if n is not None:
            page.keyboard.press(KEYS[n])
        page.wait_for_timeout(60)
    saved(page, 90_000)
    found = stored(where)
    assert len(found) == 50 and len({one.record_id for one in found}) == 50
    shown = re.search(r"(\d+) pass · (\d+) fail", page.locator(".reviewer .tally").inner_text())
    counts = Counter(one.outcome for one in found)
    assert (counts["pass"], counts["fail"]) == (int(shown[1]), int(shown[2]))
    assert [one.outcome for one in sorted(found, key=lambda one: one.created_at)][:26] == [
        "fail" if key == "2" else "pass" for key in KEYS[:26]
    ]
    page.console_errors.clear()  # the browser reports the cut connection


def test_a_read_only_database_has_a_banner_and_keeps_every_word(app, where, page, wait_idle):
    start(page, app, wait_idle)
    app.kill()
    locked = "&options=-c%20default_transaction_read_only%3Don"
    app.again(f"{where}{locked}" if "://" in where else f"sqlite:///file:{where}?mode=ro&uri=true")
    reopened(page, wait_idle)
    page.keyboard.press("n")
    page.keyboard.type("The dose is ten times too high")
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    state_is(page, "problem")
    assert "cannot be written" in page.locator(".reviewer .notice").inner_text()
    assert "1 verdict kept in this browser" in page.locator(".reviewer .save").inner_text()
    assert stored(where) == []
    app.kill()
    app.again()
    reopened(page, wait_idle)
    saved(page, 90_000)
    (only,) = stored(where)
    assert (only.outcome, only.note) == ("fail", "The dose is ten times too high")
    page.console_errors.clear()


def test_the_database_goes_away_and_comes_back_while_somebody_reads(app, where, postgres, page, wait_idle):
    if "://" not in where:
        pytest.skip("SQLite has no server that could go away")
    start(page, app, wait_idle)
    for key in KEYS[:10]:
        page.keyboard.press(key)
    saved(page)
    postgres.crash()
    try:
        for key in KEYS[10:30]:
            page.keyboard.press(key)
        state_is(page, "problem")
        assert "cannot be reached" in page.locator(".reviewer .notice").inner_text()
        page.get_by_text("Go on reading").wait_for(timeout=20_000)
    finally:
        postgres.start()
    saved(page)
    assert given(page) == 30 == len(stored(where))
    for key in KEYS[30:]:
        page.keyboard.press(key)
    saved(page)
    fifty(where)
    page.get_by_text("have an issue, more than 3").first.wait_for(timeout=20_000)
