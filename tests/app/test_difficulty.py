"""Difficulty on the Quadrant page: sources, rating, learning, consent before anything is sent, a heuristic called one."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.actions.choosing import pick
from core.actions.decisions import open_reviews
from core.actions.frame import axis_title
from core.actions.rating import BATCH, learned, ratings_here
from core.review.ratings import Rating, all_ratings, save_ratings
from core.steps import params_of, run_step
from core.workspace import open_workspace


def space(home):
    return open_workspace(home / "small")


def said(at) -> str:
    return " ".join(
        [e.value for kind in (at.markdown, at.caption, at.error, at.warning, at.info) for e in kind]
    ).replace("\\", "")


@pytest.fixture
def opened(home, start):
    """The page on "Difficulty and ratings"."""
    at = start("quadrant")
    at.button_group(key="quadrant.view").set_value("Difficulty and ratings").run()
    assert not at.exception, at.exception[0].value
    return at


def part(at, name):
    at.button_group(key="quadrant.difficulty_part").set_value(name).run()
    assert not at.exception, at.exception[0].value
    return at


def test_the_sources_are_listed_and_the_one_on_the_axis_is_named(opened, home):
    text = said(opened)
    assert "On the axis: **Difficulty rating, as in the file**" in text
    table = opened.dataframe[0].value
    assert list(table["source"])[0] == "Difficulty rating, as in the file"
    assert all(s.startswith("Heuristic: ") for s in table["source"][1:]) and len(table) == 5


def test_the_axis_the_subset_and_its_manifest_say_heuristic(home):
    workspace = space(home)
    assert axis_title("ifd_ppl").startswith("Heuristic: IFD")
    assert pick(workspace, "diq", 5, difficulty="nll").params["difficulty_axis"].startswith("Heuristic: NLL")
    assert pick(workspace, "diq", 5).params["difficulty_axis"] == "Difficulty rating, as in the file"


def test_a_selection_by_a_heuristic_carries_the_word_into_the_export(home, start, tmp_path):
    from core.actions.exporting import export_records

    at = start("quadrant")
    at.selectbox(key="quadrant.source").set_value("nll").run()
    at.button(key="quadrant.select.1").click().run()
    assert "heuristic difficulty (nll)" in at.session_state["selection"].title
    at.button(key="quadrant.take").click().run()
    chosen = at.session_state["selection"]
    assert "Heuristic: NLL" in chosen.title
    manifest = export_records(space(home), "jsonl", tmp_path / "out.jsonl", ids=chosen.ids, title=chosen.title)
    assert "Heuristic: NLL" in json.dumps(manifest)


def test_records_of_an_ifd_of_one_or_more_are_flagged_and_counted(home, start):
    at = start("quadrant")
    at.selectbox(key="quadrant.source").set_value("ifd_loss").run()
    table = run_step(space(home), "difficulty").table()["ifd_loss"].to_numpy()
    assert f"{(table >= 1).sum()} of 58 records have an IFD of 1 or more" in said(
        at
    ) or "have an IFD of 1 or more" in said(at)
    at.selectbox(key="quadrant.colour").set_value("ifd").run()
    assert not at.exception


def test_a_batch_is_rated_undone_and_kept_append_only(opened, home):
    workspace = space(home)
    opened.button(key="quadrant.rate_random").click().run()
    assert "Drawn by chance: these teach the model, and it is judged on them too" in said(opened)
    for level in (1, 5, 3):
        opened.button(key=f"quadrant.level.{level}").click().run()
        assert not opened.exception
    given = ratings_here(workspace, workspace.need())
    assert sorted(level for level, _ in given.values()) == [1, 3, 5] and {p for _, p in given.values()} == {"random"}
    opened.button(key="quadrant.rate_undo").click().run()
    assert sorted(v for v, _ in ratings_here(workspace, workspace.need()).values()) == [1, 5]
    assert [r.level for r in all_ratings(open_reviews(workspace))] == [1, 5, 3, 0]
    opened.button(key="quadrant.skip").click().run()
    assert not opened.exception


def test_learning_is_refused_with_one_sentence_then_shown_with_its_worth(opened, home):
    part(opened, "Learned from ratings")
    opened.button(key="quadrant.learn").click().run()
    assert "0 rated records are too few to learn from: 20 are needed." in said(opened)
    workspace = space(home)
    ids, rated = workspace.need().ids(), workspace.need().column("difficulty").to_pylist()
    save_ratings(
        open_reviews(workspace),
        [Rating(i, int(d), "ada", "random", f"t{i}") for i, d in zip(ids[:40], rated[:40], strict=True)],
    )
    from core.actions.rating import prepare_training

    assert prepare_training(workspace, workspace.need()) == 40
    run_step(workspace, "rated_difficulty")
    opened.run()
    assert "Learned from 40 ratings** by people" in said(opened) and "judged on 40" in said(opened)
    assert "Quadratic-weighted kappa (1 agreement, 0 chance)" in set(opened.dataframe[1].value["measure"])
    assert len(opened.dataframe[3].value) >= 8, "features are shown by name with their weights"
    save_ratings(open_reviews(workspace), [Rating(ids[50], 2, "ada", "random", "late")])
    opened.run()
    assert "1 ratings are new or changed" in said(opened)
    assert learned(workspace).info["ratings"] == 40
    opened.button_group(key="quadrant.view").set_value("Plot and budget").run()
    assert any("learned from ratings" in option for option in opened.selectbox(key="quadrant.source").options)
    opened.selectbox(key="quadrant.source").set_value("rated_difficulty").run()
    assert not opened.exception and "nobody rated it" not in said(opened)


@pytest.fixture
def endpoint():
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            raw = json.dumps(
                {"choices": [{"message": {"content": '{"knowledge": 1, "reasoning": 2, "overall": 2}'}}]}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", seen
    server.shutdown()
    server.server_close()


def test_nothing_is_sent_before_consent_and_the_cost_is_shown_first(opened, home, endpoint, monkeypatch):
    url, seen = endpoint
    started = []
    monkeypatch.setattr("core.jobs.start", lambda workspace, command, title: started.append(command) or "job")
    part(opened, "Language model")
    assert "You rate how difficult" in " ".join(t.value for t in opened.text), "the prompt is on the screen"
    opened.text_input(key="quadrant.llm_url").input("http://api.example.com/v1")
    opened.text_input(key="quadrant.llm_model").input("m")
    opened.button(key="FormSubmitter:quadrant.llm-Count what would be sent").click().run()
    assert "use https" in said(opened)
    opened.text_input(key="quadrant.llm_url").input(url)
    opened.text_input(key="quadrant.llm_model").input("m")
    opened.number_input(key="quadrant.llm_in").set_value(2.5)
    opened.button(key="FormSubmitter:quadrant.llm-Count what would be sent").click().run()
    host = url.split("/")[2]
    assert f"**60 records** would go to **{host}**" in said(opened) and "at your prices" in said(opened)
    button = opened.button(key="quadrant.llm_start")
    assert button.disabled and not seen and not started
    (box,) = [c for c in opened.checkbox if "Send 60 records" in c.label]
    assert host in box.label.replace("\\", "") and "tokens" in box.label
    box.check().run()
    opened.button(key="quadrant.llm_start").click().run()
    assert started == [["run", "llm_difficulty"]] and not seen, "the page starts a job and sends nothing itself"
    workspace = space(home)
    assert params_of(workspace, "llm_difficulty")["consent"].startswith("Send 60 records, about ")
    run_step(workspace, "llm_difficulty")
    assert len(seen) == 60
    opened.run()
    assert "60 records rated" in said(opened) and not opened.exception


def test_a_classifier_that_is_nowhere_and_levels_that_cannot_be_read(opened, home):
    part(opened, "Classifier")
    opened.text_input(key="quadrant.classifier_folder").input("/no/such")
    opened.button(key="FormSubmitter:quadrant.classifier-Rate with it").click().run()
    assert "must hold a config.json" in said(opened)
    from core.errors import InputError
    from pages.ui.difficulty_classifier import levels_of

    assert levels_of("easy=1, hard = 4.5") == {"easy": 1.0, "hard": 4.5}
    with pytest.raises(InputError, match="label=level"):
        levels_of("easy")


def test_without_ratings_and_with_heuristics_alone_it_is_said(imported, start):
    at = start("quadrant")
    at.button_group(key="quadrant.view").set_value("Difficulty and ratings").run()
    assert not at.exception
    assert BATCH == 25 and "0 of 12 records are rated by people" in said(at)
