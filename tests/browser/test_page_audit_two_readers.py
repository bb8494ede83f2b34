"""A whole audit by two readers and an advisor on PubMedQA, in the browser: drawn, read blind, compared, adjudicated, reported.

The readers judge whether the final answer is right as the two annotators of PubMedQA did: pass where their own label is the final one.
"""

import json
import sqlite3

import pytest

from tests.browser.conftest import ROOT, open_page

DATA = ROOT.parent / "shared" / "data" / "pubmedqa" / "ori_pqal.json.gz"
ADA, BEA = "field.reasoning_free_pred", "field.reasoning_required_pred"
REASON = "The abstract *supports* the final answer."


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose workspace "pubmedqa" holds the thousand records and no result."""
    if not DATA.exists():
        pytest.skip(f"PubMedQA is not here ({DATA}): the audit of real data is not tried")
    from core.dataset.importing import import_file
    from core.workspace import open_workspace

    folder = tmp_path_factory.mktemp("home")
    open_workspace(folder / "pubmedqa").add("training", DATA.name, lambda part: import_file(DATA, part, "training"))
    return folder


@pytest.fixture(scope="module")
def url(serve, home):
    told = {"QUADRANT_HOME": str(home), "QUADRANT_DATA": "", "QUADRANT_OPEN": "pubmedqa", "QUADRANT_DATABASE_URL": ""}
    return serve(ROOT / "app.py", env=told)


def rows(home, sql):
    with sqlite3.connect(f"file:{home / 'pubmedqa' / 'reviews.sqlite'}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def ready(page, wait_idle):
    page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=60_000)
    wait_idle(page)


def read(page, keys, wait_idle):
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_selector(".reviewer .save[data-state=saved]", timeout=20_000)
    wait_idle(page)


def kappa(pairs):
    """Raw agreement and Cohen's kappa of (one, other), by their definitions."""
    n = len(pairs)
    raw = sum(a == b for a, b in pairs) / n
    classes = {one for pair in pairs for one in pair}
    chance = sum(sum(a == c for a, _ in pairs) * sum(b == c for _, b in pairs) for c in classes) / n**2
    return raw, (raw - chance) / (1 - chance)


def test_two_readers_and_an_advisor_from_the_draw_to_the_report(url, home, new_page, wait_idle):
    from core.workspace import open_workspace

    data = open_workspace(home / "pubmedqa").need()
    table = data.table(["record_id", ADA, BEA, "category"]).to_pylist()
    label = {row["record_id"]: row for row in table}

    def verdict(record_id, column):
        return "pass" if label[record_id][column] == label[record_id]["category"] else "fail"

    # Ada draws 30 records, half of them for a second reader, and reads them.
    ada = new_page()
    ada.goto(f"{url}/audit?r=Ada")
    ada.get_by_text("Draw it another way").click(timeout=60_000)
    ada.get_by_role("spinbutton", name="Records", exact=True).fill("30")
    ada.get_by_role("spinbutton", name="Share for a second reader (%)").fill("50")
    ada.get_by_role("spinbutton", name="Share for a second reader (%)").press("Tab")
    ada.get_by_role("button", name="Draw", exact=True).click()
    ready(ada, wait_idle)
    ids = [one for (one,) in rows(home, "SELECT record_id FROM sample_records ORDER BY position")]
    first = [verdict(one, ADA) for one in ids]
    read(ada, ["1" if said == "pass" else "2" for said in first], wait_idle)

    # Bea reads the share, in a browser of her own, and is told nothing of Ada's verdicts.
    bea = new_page()
    bea.goto(f"{url}/agreement?r=Someone")
    bea.get_by_role("radio", name="Two readers").click(timeout=60_000)
    bea.get_by_role("button", name="Start a second reading").click(timeout=30_000)
    bea.get_by_label("Name of the second reader").fill("Bea")
    bea.get_by_role("button", name="Read the same records").click()
    bea.get_by_text("Verdicts of Ada are hidden").wait_for(timeout=30_000)
    ready(bea, wait_idle)
    assert bea.locator(".reviewer .count").inner_text() == "Record 1 of 15"
    assert bea.locator(".reviewer .tally").inner_text().startswith("0 read")
    (recipe,) = rows(home, "SELECT json_extract(recipe, '$.double.positions') FROM samples")
    twice = [ids[n] for n in json.loads(recipe[0])]
    second = [verdict(one, BEA) for one in twice]
    read(bea, ["1" if said == "pass" else "2" for said in second], wait_idle)
    bea.get_by_text("You have read your 15 records").wait_for()
    assert rows(home, "SELECT reviewer, count(*), count(DISTINCT record_id) FROM verdicts GROUP BY 1 ORDER BY 1") == [
        ("Ada", 30, 30), ("Bea", 15, 15),
    ]  # fmt: skip

    # What the page says of their agreement is what the definitions give for the labels of PubMedQA's annotators.
    pairs = [(verdict(one, ADA), said) for one, said in zip(twice, second, strict=True)]
    raw, cohen = kappa(pairs)
    apart = [one for one, (a, b) in zip(twice, pairs, strict=True) if a != b]
    assert 2 <= len(apart) <= 10
    open_page(ada, "Agreement")
    ada.get_by_role("radio", name="Two readers").click(timeout=30_000)
    ada.get_by_text(f"{raw:.1%}", exact=True).first.wait_for(timeout=30_000)
    for told in (f"{cohen:.4f}", f"{len(apart)} records are disputed"):
        ada.locator("[data-testid=stMain]").get_by_text(told).first.wait_for(timeout=60_000)

    # An advisor is entered, decides every record without seeing names, and finds the last word in the report.
    ada.get_by_role("radio", name="People").click()
    ada.get_by_label("Name", exact=True).fill("Cat")
    ada.get_by_label("Credential").fill("MD")
    ada.get_by_label("Role").click()
    ada.get_by_role("option", name="Clinical advisor").click()
    ada.get_by_role("button", name="Keep", exact=True).click()
    ada.get_by_text("Read here without being entered").wait_for()
    cat = new_page()
    cat.goto(f"{url}/audit?r=Cat")
    cat.get_by_text(f"{len(apart)} to adjudicate, 0 decided").wait_for(timeout=60_000)
    final = {}
    for n, _ in enumerate(apart, 1):
        sides = cat.locator("[class*=st-key-audit-decide-sides]", has_text="Reader A")
        sides.wait_for(timeout=30_000)
        shown = sides.inner_text()
        assert "Reader A" in shown and "Reader B" in shown and "Ada" not in shown and "Bea" not in shown
        cat.get_by_role("radiogroup", name="Final verdict").get_by_text(
            "Fail" if n == 1 else "Pass", exact=True
        ).click()
        cat.get_by_label("Reason").first.fill(f"{REASON} ({n})")
        cat.get_by_role("button", name="Decide").click()
        cat.get_by_text(f"{len(apart) - n} to adjudicate, {n} decided").wait_for(timeout=30_000)
        cat.get_by_text("Final verdict:").wait_for()
        if n < len(apart):
            cat.get_by_role("button", name="Next open one").click()
    final = dict(rows(home, "SELECT record_id, outcome FROM adjudications"))
    assert set(final) == set(apart) and sorted(final.values()) == ["fail"] + ["pass"] * (len(apart) - 1)

    failed = sum(final.get(one, said) == "fail" for one, said in zip(ids, first, strict=True))
    cat.get_by_role("radio", name="Report").click()
    page = cat.locator("[data-testid=stCode]")
    page.get_by_text("Adjudicated").first.wait_for(timeout=30_000)
    text = page.inner_text()
    assert f"{failed} of 30" in text and "Cat (advisor)" in text and REASON.split("*")[0].strip() in text
    right = sum(final[one] == verdict(one, ADA) for one in apart)
    assert f"gave the final verdict on {right} of {len(apart)} decided records" in text
    assert all(one in text for one in apart)
