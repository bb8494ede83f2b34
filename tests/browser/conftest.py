"""Fixtures of the browser tests: one Chromium, one Streamlit server a script, and a page that refuses the outside world."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("QUADRANT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
# Software WebGL: the same pixels with or without a graphics card.
CHROMIUM_FLAGS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
]  # fmt: skip
HERE = {"127.0.0.1", "localhost", "::1", ""}
# Messages of the browser itself, which say nothing about the app.
QUIET = re.compile(
    r"GPU stall due to ReadPixels|Automatic fallback to software WebGL|WebSocket connection to .*_stcore/stream"
)
# Opened at /page, Streamlit's front end first tries whether the app lives under that path, and is told that it does not.
PROBE = re.compile(r"^http://127\.0\.0\.1:\d+/\w+/_stcore/(health|host-config)$")


def is_local(url: str) -> bool:
    """True for a URL that stays on this machine (data:, blob: and about: have no host)."""
    parts = urlsplit(url)
    return parts.scheme in {"data", "blob", "about"} or (parts.hostname or "") in HERE


def wait_idle(page, timeout: float = 60_000) -> None:
    """Return once the script run has ended and the page shows its result; `timeout` in milliseconds."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=timeout, state="attached")


def open_page(page, title: str) -> None:
    """Go to a page by the side bar and return once its heading stands; a press that a starting app swallowed is repeated."""
    from playwright.sync_api import TimeoutError as TooLong

    heading = page.get_by_test_id("stMain").get_by_role("heading", name=title, exact=True).first
    for last in (False, False, True):
        page.get_by_test_id("stSidebarNavItems").get_by_role("link", name=title, exact=True).click()
        try:
            heading.wait_for(timeout=30_000)
            break
        except TooLong:
            if last:
                raise
    wait_idle(page)


@pytest.fixture(scope="session", name="wait_idle")
def wait_idle_fixture() -> Callable:
    """The helper of the same name, for tests that do not import this file."""
    return wait_idle


@pytest.fixture(scope="session")
def chromium():
    """One headless Chromium for the whole session; skipped with the reason where none is installed."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (install Debian's `chromium`, or set QUADRANT_CHROMIUM)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def start_server(
    script: Path | str,
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    args: Sequence[str] = (),
    port: int | None = None,
    options: Sequence[str] = (),
) -> tuple[subprocess.Popen, str]:
    """Start `streamlit run script -- args` from the repository root and wait until it is healthy: (process, url)."""
    port = port or free_port()
    command = [
        sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}", "--server.address=127.0.0.1",
        "--server.headless=true", "--server.fileWatcherType=none", "--browser.gatherUsageStats=false",
        *options,
    ]  # fmt: skip
    if args:
        command += ["--", *map(str, args)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", **(env or {})}
    with open(log, "wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=sink, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return process, url
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"the server of {script} did not start:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="module")
def serve(tmp_path_factory) -> Iterator[Callable[..., str]]:
    """`serve(script, env=None, args=())` -> URL of a server that runs the script until the module's tests are done."""
    processes: list[subprocess.Popen] = []

    def run(script: Path | str, env: Mapping[str, str] | None = None, args: Sequence[str] = ()) -> str:
        process, url = start_server(script, tmp_path_factory.mktemp("server") / "log.txt", env=env, args=args)
        processes.append(process)
        return url

    yield run
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture
def new_page(chromium) -> Iterator[Callable]:
    """`new_page(**context options)` -> a page; the test fails when one asked for anything outside this machine,
    logged a console error or raised. Foreign requests are also blocked. `page.foreign` and `page.console_errors` list them.
    """
    contexts, pages = [], []

    def make(**options):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.foreign, page.console_errors = [], []

        def guard(route) -> None:
            if is_local(route.request.url):
                route.continue_()
            else:
                page.foreign.append(route.request.url)
                route.abort()

        def heard(message) -> None:
            probe = PROBE.search((message.location or {}).get("url", ""))
            if message.type == "error" and not QUIET.search(message.text) and not probe:
                page.console_errors.append(message.text)

        context.route("**/*", guard)
        page.on("websocket", lambda socket: None if is_local(socket.url) else page.foreign.append(socket.url))
        page.on("console", heard)
        page.on("pageerror", lambda error: page.console_errors.append(f"uncaught: {error}"))
        pages.append(page)
        return page

    yield make
    for context in contexts:
        context.close()
    for page in pages:
        assert not page.foreign, f"the page asked for something outside this machine: {page.foreign}"
        assert not page.console_errors, f"errors in the browser's console: {page.console_errors}"


@pytest.fixture
def page(new_page):
    """One page of the default size, guarded as `new_page` says."""
    return new_page()
