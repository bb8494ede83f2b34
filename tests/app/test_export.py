"""The Export page: files, manifests, removals with undo, named subsets."""

import hashlib
import json

from core.decisions import open_reviews
from core.review.ledger import removed_ids
from core.review.subsets import add_subset, subsets
from core.workspace import open_workspace


def space(home):
    return open_workspace(home / "small")


def said(at) -> str:
    return " ".join([e.value for kind in (at.markdown, at.caption, at.error, at.warning) for e in kind])


def selecting(start, ids, title="four by hand"):
    """The export page with these records selected."""
    from pages.ui.state import Selection

    at = start()
    at.session_state["selection"] = Selection(tuple(ids), title)
    return at.switch_page("pages/export.py").run()


def raws(workspace) -> dict[str, str]:
    data = workspace.need()
    return dict(zip(data.ids(), data.column("raw").to_pylist(), strict=True))


def test_a_selection_is_written_byte_for_byte_with_its_manifest(home, start, tmp_path):
    workspace = space(home)
    ids = [workspace.need().ids()[n] for n in (9, 3, 4, 17)]
    at = selecting(start, ids)
    path = tmp_path / "out.jsonl"
    at.text_input(key=f"export.path.small.original.{'four by hand'}").input(str(path)).run()
    at.button(key="export.write").click().run()
    assert not at.exception, at.exception[0].value
    text = path.read_bytes()
    assert text.decode() == "".join(raws(workspace)[i] + "\n" for i in ids)
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(text).hexdigest() and manifest["subset"]["name"] == "four by hand"
    assert manifest["sha256"] in said(at)


def test_an_existing_file_is_replaced_only_after_the_question(home, start, tmp_path):
    workspace = space(home)
    at = selecting(start, workspace.need().ids()[:2])
    path = tmp_path / "taken.jsonl"
    path.write_text("mine")
    at.text_input(key="export.path.small.original.four by hand").input(str(path)).run()
    at.button(key="export.write").click().run()
    assert path.read_text() == "mine"
    at.button(key="export.replace").click().run()
    assert path.read_text().count("\n") == 2


def test_every_format_previews_or_says_why_not(home, start):
    at = start("export")
    for to in ("jsonl", "csv", "csv-safe", "parquet", "trl", "openai", "axolotl", "llamafactory", "trl-preference"):
        at.selectbox(key="export.format").set_value(to).run()
        assert not at.exception, at.exception[0].value
    assert "rejected" in said(at)


def test_a_removal_is_counted_undone_and_kept_out_of_exports(home, start):
    workspace = space(home)
    store, ids = open_reviews(workspace), workspace.need().ids()[:5]
    at = selecting(start, ids)
    at.button(key="export.remove").click().run()
    assert "5 records" in said(at)
    at.button(key="export.remove_now").click().run()
    assert "reason" in said(at) and not removed_ids(store), "a reason is needed"
    at.text_input(key="export.reason").input("test of removal").run()
    at.button(key="export.remove_now").click().run()
    assert removed_ids(store) == set(ids)
    assert not at.session_state["selection"].ids
    assert "55 records" in said(at)
    at.button(key="export.undo.1").click().run()
    assert not removed_ids(store) and "60 records" in said(at)


def test_subsets_are_selected_renamed_and_deleted(home, start):
    workspace = space(home)
    store, data = open_reviews(workspace), workspace.need()
    one = add_subset(store, "draft", data.ids()[:6], by="t", strategy="diq", dataset_digest=data.digest)
    at = start("export")
    at.button(key=f"export.select.{one.id}").click().run()
    assert at.session_state["selection"].ids == tuple(data.ids()[:6])
    at.text_input(key=f"export.name.{one.id}").input("final")
    at.button(key=f"FormSubmitter:export.rename.{one.id}-Rename").click().run()
    assert [s.name for s in subsets(store)] == ["final"]
    at.button(key=f"export.delete.{one.id}").click().run()
    assert not subsets(store) and not at.exception
