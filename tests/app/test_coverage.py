"""The coverage page: searching, choosing, reading and saving, without a browser."""

import json

import pytest


@pytest.fixture
def page(home, start):
    at = start("coverage")
    assert not at.exception, at.exception[0].value
    return at


def texts(at) -> str:
    return "\n".join(e.value for e in [*at.markdown, *at.caption, *at.text])


def panel(at, name):
    at.segmented_control(key="coverage.panel").set_value(name).run()
    assert not at.exception, at.exception[0].value
    return at


def chosen(at) -> tuple[str, ...]:
    return at.session_state["selection"].ids if "selection" in at.session_state else ()


def dataset(home):
    from core.workspace import open_workspace

    return open_workspace(home / "small").need()


def test_says_what_the_map_is_worth(page):
    said = texts(page)
    assert "**60** records" in said and "trustworthiness" in said and "seed 42" in said and "stand\\-in" in said


@pytest.mark.parametrize("name", ["Record", "Search", "Clusters", "Holes", "Selection"])
def test_every_panel_starts(page, name):
    panel(page, name)


@pytest.mark.parametrize("name", ["category", "prompt_words", "influence", "duplicate", "verdict", "field.annotator"])
def test_every_kind_of_column_colours(page, name):
    box = page.selectbox(key="coverage.colour")
    if name not in box.options and name.startswith("field."):
        pytest.skip("the fixture maps every column")
    box.set_value(name).run()
    assert not page.exception, page.exception[0].value


def test_a_literal_search_selects_exactly_the_records_that_hold_the_text(page, home):
    page.segmented_control(key="coverage.how").set_value("text").run()
    page.text_input(key="coverage.query").set_value("advice number 7 ").run()
    data = dataset(home)
    expected = {
        i for i, r in zip(data.ids(), data.column("response").to_pylist(), strict=True) if "advice number 7 " in r
    }
    assert set(chosen(page)) == expected and len(expected) == 1
    assert page.segmented_control(key="coverage.panel").value == "Search"


def test_choosing_by_value_replaces_adds_and_takes_away(page, home):
    data = dataset(home)
    category = dict(zip(data.ids(), data.column("category").to_pylist(), strict=True))

    def choose(values, how):
        panel(page, "Selection")
        page.segmented_control(key="coverage.combine").set_value(how)
        key = next(m.key for m in page.multiselect if m.key.startswith("coverage.values.category"))
        page.multiselect(key=key).set_value(values)
        page.run()
        page.button(key="coverage.choose").click().run()
        assert not page.exception, page.exception[0].value
        return {category[i] for i in chosen(page)}, len(chosen(page))

    assert choose(["cough"], "replace") == ({"cough"}, 20)
    assert choose(["rash"], "add") == ({"cough", "rash"}, 40)
    assert choose(["cough"], "remove") == ({"rash"}, 20)
    page.button(key="coverage.invert").click().run()
    assert {category[i] for i in chosen(page)} == {"cough", "dose"}
    page.button(key="coverage.undo").click().run()
    assert {category[i] for i in chosen(page)} == {"rash"}


def test_a_selection_is_kept_as_a_subset(page, home):
    from core.decisions import open_reviews
    from core.review.subsets import subset_ids
    from core.workspace import open_workspace

    page.segmented_control(key="coverage.how").set_value("text").run()
    page.text_input(key="coverage.query").set_value("rash").run()
    panel(page, "Selection")
    page.text_input(key="coverage.name").set_value("rashes")
    page.button(key="coverage.save_now").click().run()
    assert not page.exception, page.exception[0].value
    assert tuple(subset_ids(open_reviews(open_workspace(home / "small")), "rashes")) == chosen(page) != ()


def test_more_like_an_open_record_selects_its_nearest(page, home):
    first = dataset(home).ids()[0]
    page.session_state["kept.coverage.open"] = ("training", first)
    panel(page, "Record")
    page.button(key="coverage.like").click().run()
    assert not page.exception, page.exception[0].value
    assert chosen(page) and first not in chosen(page)


def test_text_from_data_is_not_read_as_markdown(home, start):
    from core.dataset.importing import import_file
    from core.workspace import open_workspace

    evil = "![x](http://198.51.100.1/p.png) $$x$$ :material/home:"
    path = home / "evil.jsonl"
    path.write_text(json.dumps({"prompt": evil, "response": evil, "category": evil}) + "\n", "utf-8")
    space = open_workspace(home / "small")
    space.add("training", "evil", lambda folder: import_file(path, folder, "training"))
    at = start("coverage")
    assert not at.exception, at.exception[0].value
    assert "](http://198" not in texts(at)


def test_brief_holds_prompts_literally_and_cells_that_are_no_formulas():
    from core.embedding.brief import brief_csv, brief_markdown, gaps

    info = {
        "production": 200, "training": 1000, "covered_share": 0.9, "covered_low": 0.85, "covered_high": 0.94, "threshold": 0.5,
        "threshold_rule": "5 % quantile", "holes": [
            {"hole": 0, "name": "=cmd", "terms": ["a"], "size": 10, "share": 0.05, "similarity": 0.3, "collect": 50,
             "examples": ["p1"], "nearest": ["t1"]}
        ],
    }  # fmt: skip
    (gap,) = gaps(info)
    assert gap.collect == 50 and gap.collect_low < 50 < gap.collect_high
    # Wilson for 10 of 200, by hand: (0.05 + 1.9208/200 ± 1.96 sqrt(0.0475/200 + 0.9604/40000)) / (1 + 3.8416/200)
    assert (round(gap.low, 4), round(gap.high, 4)) == (0.0274, 0.0896)
    markdown = brief_markdown([gap], {"p1": "```\n![x](http://example.org)"}, {"t1": "near"}, info, "set")
    assert "````text\n```\n![x](http://example.org)\n````" in markdown and "about **50** records (28 to 90)" in markdown
    assert "\n1,'=cmd,a,10,0.050000" in brief_csv([gap], {"p1": "What?"})


def test_until_the_map_is_there_a_preview_is_shown_and_called_so(home, start):
    import shutil

    for found in (home / "small" / "results").glob("map-*"):
        shutil.rmtree(found)
    at = start("coverage")
    assert not at.exception, at.exception[0].value
    assert "First sketch by PCA" in texts(at) and "a preview" in texts(at)
    at.segmented_control(key="coverage.how").set_value("text").run()
    at.text_input(key="coverage.query").set_value("rash").run()
    assert not at.exception and chosen(at)


def test_settings_are_kept_and_start_a_job_for_what_follows_from_them(page, home, monkeypatch):
    from core import jobs
    from core.steps import params_of
    from core.workspace import open_workspace

    started = []
    monkeypatch.setattr(jobs, "start", lambda workspace, command, title: started.append(command))
    page.radio(key="coverage.mode").set_value("parallel")
    page.button(key="coverage.compute").click().run()
    assert started == [["run", "map"]]
    page.radio(key="coverage.text").set_value("both")
    page.button(key="coverage.compute").click().run()
    assert started[1][:3] == ["run", "preview", "map"] and "coverage" in started[1]
    space = open_workspace(home / "small")
    assert params_of(space, "embed")["text"] == params_of(space, "embed:production")["text"] == "both"
    assert params_of(space, "map")["mode"] == "parallel"
