"""Sign-in by OpenID Connect in a real browser, against a provider on this machine: the address decides who reads, nothing else."""

import re

import pytest

from tests.browser.conftest import ROOT, free_port, open_page, start_server
from tests.browser.provider import CLIENT, SECRET, Provider


@pytest.fixture(scope="module")
def provider():
    pytest.importorskip("authlib", reason="Authlib is not installed (requirements-dev.txt)")
    made = Provider()
    yield made
    made.server.shutdown()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with the sample's training records, and Ada entered as an advisor under her address."""
    from core.dataset.importing import import_file
    from core.review.people import Person, keep_person
    from core.review.schema import open_store
    from core.workspace import open_workspace

    folder = tmp_path_factory.mktemp("home")
    space = open_workspace(folder / "sample")
    path = ROOT / "sample_data" / "training.jsonl"
    space.add("training", path.name, lambda part: import_file(path, part, "training"))
    keep_person(open_store(space.path), Person("Dr Ada", "advisor", email="ada@clinic.org"), by="boss")
    return folder


@pytest.fixture(scope="module")
def url(home, provider, tmp_path_factory):
    """The app with a sign-in; its secrets are of this test alone."""
    port = free_port()
    secrets = tmp_path_factory.mktemp("secrets") / "secrets.toml"
    secrets.write_text(
        f'[auth]\nredirect_uri = "http://127.0.0.1:{port}/oauth2callback"\ncookie_secret = "{"x" * 40}"\n'
        f'client_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
        f'server_metadata_url = "{provider.url}/.well-known/openid-configuration"\n'
    )
    told = {"QUADRANT_HOME": str(home), "QUADRANT_DATA": "", "QUADRANT_OPEN": "sample"}
    process, address = start_server(
        ROOT / "app.py", home / "log.txt", env=told, port=port, options=[f"--secrets.files={secrets}"]
    )
    yield address
    process.terminate()
    process.wait(timeout=20)


def test_nobody_sees_anything_before_they_sign_in_and_the_address_names_them(url, home, provider, new_page, wait_idle):
    from core.review.people import people
    from core.review.schema import open_store

    page = new_page()
    page.goto(f"{url}/audit?r=Somebody%20Else")
    page.get_by_role("button", name="Sign in").wait_for(timeout=60_000)
    assert "Nobody has read this data yet" not in page.inner_text("body")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Signed in as Dr Ada").wait_for(timeout=60_000)
    open_page(page, "Audit")
    page.get_by_role("button", name="Draw 50 and start reading").click(timeout=30_000)
    page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=60_000)
    page.goto(f"{url}/audit?r=Somebody%20Else")  # a name in the address is nobody's
    page.get_by_role("button", name="Reading as Dr Ada").click(timeout=60_000)
    page.get_by_text("You are signed in").wait_for()
    assert page.get_by_label("Your name").count() == 0

    provider.who = {"sub": "2", "email": "Bea@Clinic.org", "email_verified": True, "name": "Dr Ada"}
    other = new_page()
    other.goto(url)
    other.get_by_role("button", name="Sign in").click(timeout=60_000)
    other.get_by_text(re.compile("Signed in as bea.*clinic")).wait_for(timeout=60_000)
    known = people(open_store(home / "sample"))
    assert known["bea@clinic.org"].role == "annotator" and known["Dr Ada"].role == "advisor", (
        "a like name is no likeness"
    )
    open_page(other, "Agreement")
    other.get_by_role("radio", name="People").click(timeout=30_000)
    other.get_by_text("An advisor changes people and rules").wait_for()

    provider.who = {"sub": "3", "email": "eve@clinic.org", "email_verified": False, "name": "Eve"}
    third = new_page()
    third.goto(url)
    third.get_by_role("button", name="Sign in").click(timeout=60_000)
    third.get_by_text("no confirmed e-mail address").wait_for(timeout=60_000)
    assert "eve@clinic.org" not in {one.email for one in people(open_store(home / "sample")).values()}
