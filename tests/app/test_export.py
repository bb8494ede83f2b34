"""The Export page: files, manifests, removals with undo, named subsets."""

import hashlib
import json
from pathlib import Path

from core.actions.decisions import open_reviews
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


def test_an_export_in_splits_writes_each_and_says_how_near(home, start, tmp_path):
    workspace = space(home)
    at = start("export")
    at.selectbox(key="export.format").set_value("trl").run()
    at.checkbox(key="export.split_on").check().run()
    at.text_input(key="export.split_shares").input("train=80,test=20").run()
    at.checkbox(key="export.card").check().run()
    assert not at.exception, at.exception[0].value
    at.text_input(key="export.path.small.trl.everything but the removed records").input(
        str(tmp_path / "out.jsonl")
    ).run()
    at.button(key="export.write").click().run()
    assert not at.exception, at.exception[0].value
    counts = [len((tmp_path / f"out-{name}.jsonl").read_text().splitlines()) for name in ("train", "test")]
    assert sum(counts) == workspace.need().count and "in 2 splits" in said(at)
    assert "0 near-duplicate pairs lie in two splits" in said(at).replace("\\", "")
    assert "Splits" in (tmp_path / "out.jsonl.card.md").read_text()
    at.button(key="export.write").click().run()
    assert "There are 2 files" in said(at), "nothing is replaced without the question"
    at.text_input(key="export.split_shares").input("train=80,test=30").run()
    assert "sum to 110" in said(at)


def test_the_preflight_counts_selects_and_leaves_out(home, start, tmp_path):
    workspace = space(home)
    at = start("export")
    at.selectbox(key="export.format").set_value("trl").run()
    at.number_input(key="export.limit.trl").set_value(20).run()
    at.button(key="export.check").click().run()
    assert not at.exception, at.exception[0].value
    assert "would be refused or dropped" in said(at)
    lost = at.dataframe[0].value
    assert lost["records"].sum() > 0
    at.checkbox(key="export.leave_out").check().run()
    at.text_input(key="export.path.small.trl.everything but the removed records").input(
        str(tmp_path / "out.jsonl")
    ).run()
    at.button(key="export.write").click().run()
    manifest = (
        json.loads((tmp_path / "out.jsonl.manifest.json").read_text()) if (tmp_path / "out.jsonl").exists() else None
    )
    assert (
        manifest is None
        or manifest["records"] + len(manifest["subset"]["preflight"]["left_out"]) == workspace.need().count
    )
    assert manifest is not None or "would drop all" in said(at)


def test_a_large_export_is_a_job(home, start, tmp_path, monkeypatch):
    from core import jobs

    started = []
    at = start("export")
    monkeypatch.setattr("pages.ui.export_file.AT_ONCE", 10)
    monkeypatch.setattr(jobs, "start", lambda workspace, command, title: started.append(command) or "id")
    at.selectbox(key="export.format").set_value("jsonl").run()
    at.text_input(key="export.path.small.jsonl.everything but the removed records").input(
        str(tmp_path / "out.jsonl")
    ).run()
    at.button(key="export.write").click().run()
    assert not at.exception, at.exception[0].value
    (command,) = started
    assert command[:5] == ["export", "--to", "jsonl", "--out", str(tmp_path / "out.jsonl")]
    ids = json.loads(Path(command[command.index("--ids") + 1]).read_text())
    assert ids == space(home).need().ids() and not (tmp_path / "out.jsonl").exists()
