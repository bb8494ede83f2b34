"""The Data page: opening by path, mapping by hand, what was quarantined, versions, shares."""

import json

from core.workspace import open_workspace

ODD = [{"frage": f"question {n}", "antwort": f"answer {n}" if n else "", "fach": "a"} for n in range(6)]


def by_path(at, path, role="training"):
    """The page after the path of a file was typed."""
    if role != "training":
        at = at.button_group(key="data.role").set_value(role).run()
    at.button_group(key=f"data.way.{role}").set_value("Path on this machine").run()
    return at.text_input(key="data.path.0").set_value(str(path)).run()


def button(at, key):
    return next(b for b in at.button if b.key == key)


def text(at) -> str:
    return "\n".join(m.value for m in [*at.markdown, *at.caption]).replace("\\", "")


def test_a_file_with_odd_names_is_mapped_by_hand_and_imported(empty, start, tmp_path):
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(ODD), "utf-8")
    at = by_path(start("data"), path)
    assert not at.exception
    assert "No field could be recognised" in at.warning[0].value
    assert button(at, "data.import").disabled
    prompt = next(m for m in at.multiselect if m.key.startswith("data.map.prompt"))
    prompt.set_value(["frage"]).run()
    next(s for s in at.selectbox if s.key.startswith("data.map.response")).set_value("antwort").run()
    next(s for s in at.selectbox if s.key.startswith("data.map.category")).set_value("fach").run()
    assert not at.warning
    assert "1 of the first rows will be quarantined" in text(at)
    next(t for t in at.toggle if t.key == "data.analyse.training").set_value(False).run()
    button(at, "data.import").click().run()
    assert not at.exception
    data = open_workspace(empty / "bare").dataset()
    assert (data.count, data.report["quarantined"]) == (5, 1)
    assert data.column("category").to_pylist() == ["a"] * 5
    assert "Left out, by reason" in text(at)
    assert {m.label: m.value for m in at.metric}["Rows quarantined"] == "1"


def test_an_error_is_one_sentence(empty, start, tmp_path):
    at = by_path(start("data"), tmp_path / "absent.jsonl")
    assert not at.exception
    assert "cannot be opened" in at.error[0].value
    page = tmp_path / "page.html"
    page.write_text("<html></html>")
    at.text_input(key="data.path.0").set_value(str(page)).run()
    assert "XML or HTML" in at.error[0].value


def test_a_new_workspace_takes_its_name_from_the_file(home, start, tmp_path):
    path = tmp_path / "letters.jsonl"
    path.write_text('{"prompt": "a", "response": "b"}\n', "utf-8")
    at = by_path(start("data"), path)
    assert at.text_input(key=f"data.name.{path}").value == "letters"
    next(t for t in at.toggle if t.key == "data.analyse.training").set_value(False).run()
    button(at, "data.import").click().run()
    assert not at.exception
    assert at.session_state["workspace"] == "letters"
    assert open_workspace(home / "letters").dataset().count == 1
    assert open_workspace(home / "small").dataset().count == 60


def test_a_file_of_shares_becomes_production(imported, start, tmp_path):
    path = tmp_path / "shares.csv"
    path.write_text("category,share\ncough,75\nrash,25\n", "utf-8")
    at = by_path(start("data"), path, "production")
    assert "Are they percent" in at.error[0].value
    at.selectbox(key="data.unit").set_value("percent").run()
    button(at, "data.shares.file").click().run()
    assert not at.exception
    assert open_workspace(imported / "raw").shares() == {"cough": 0.75, "rash": 0.25}


def test_only_our_copy_of_an_upload_is_removed(tmp_path, monkeypatch):
    from pages.ui import data_source, state

    kept: dict = {}
    monkeypatch.setattr(state, "remembered", lambda key, default: kept.setdefault(key, default))
    monkeypatch.setattr(state, "remember", kept.__setitem__)
    for upload in (False, True):
        path = tmp_path / "uploads" / f"of-{upload}" / "file.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("{}")
        data_source.done(data_source.Source(path, "file.jsonl", upload), keep=False)
        assert path.exists() is not upload


def test_stop_using_and_use_again(home, start):
    space = open_workspace(home / "small")
    production = space.dataset("production")
    at = start("data")
    button(at, "data.drop.production").click().run()
    assert space.dataset("production") is None
    button(at, f"data.use.{production.path.name}").click().run()
    assert not at.exception
    assert space.dataset("production").digest == production.digest


def test_shares_typed_by_hand():
    from pages.ui.data_shares import COUNTS, PERCENT, _read

    nan = float("nan")
    assert _read({"category": ["a", "b", "c"], "share": [60.0, 40.0, nan]}, PERCENT) == ({"a": 0.6, "b": 0.4}, None, "")
    assert _read({"category": ["a", "b"], "share": [3, 1]}, COUNTS) == ({"a": 0.75, "b": 0.25}, 4, "")
    assert "sum to 90" in _read({"category": ["a", "b"], "share": [60, 30]}, PERCENT)[2]
    assert "twice" in _read({"category": ["a", "a"], "share": [60, 40]}, PERCENT)[2]
    assert "no category" in _read({"category": [None], "share": [100]}, PERCENT)[2]


def test_the_download_cannot_run_in_a_spreadsheet(tmp_path):
    from core.dataset.importing import import_file
    from pages.ui.data_report import _csv

    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": "a", "response": "b"}\n=cmd()\n', "utf-8")
    space = open_workspace(tmp_path / "space")
    data = space.add("training", "bad.jsonl", lambda folder: import_file(path, folder, "training"))
    lines = _csv(data).decode().splitlines()
    assert lines[0] == '"line","reason","text"'
    assert lines[1].startswith('"2","invalid JSON') and lines[1].endswith('"\'=cmd()"')


def test_a_bad_file_at_the_start_is_told_and_leaves_no_workspace(home, start, tmp_path, monkeypatch):
    import sys

    bad = tmp_path / "broken.jsonl"
    bad.write_text("this is { no json\n" * 3)
    monkeypatch.setenv("QUADRANT_DATA", str(bad))
    monkeypatch.setenv("QUADRANT_OPEN", "broken")
    for name in [m for m in sys.modules if m == "pages" or m.startswith("pages.")]:
        monkeypatch.delitem(sys.modules, name)
    at = start()
    assert not at.exception, at.exception[0].value
    assert "broken" in at.sidebar.error[0].value and "not opened" in at.sidebar.error[0].value
    assert not (home / "broken").exists() and (home / "small").exists(), "the other workspace is untouched"
    at.button(key="opening.dismiss").click().run()
    assert not at.exception
