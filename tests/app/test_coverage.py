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


def follow(start, **query):
    """The page as a link opens it."""
    at = start()
    for name, value in query.items():
        at.query_params[name] = value
    return at.switch_page("pages/coverage.py").run()


def dataset(home):
    from core.workspace import open_workspace

    return open_workspace(home / "small").need()


def test_says_what_the_map_is_worth(page):
    said = texts(page)
    assert "**60** records" in said and "trustworthiness" in said and "seed 42" in said and "stand\\-in" in said


@pytest.mark.parametrize("name", ["Record", "Search", "Clusters", "Holes", "Diversity", "Selection"])
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
    from core.actions.decisions import open_reviews
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


def test_an_expression_selects_what_matches_and_a_broken_one_is_explained(page, home):
    page.segmented_control(key="coverage.how").set_value("regex").run()
    page.text_input(key="coverage.query").set_value(r"number [78] ").run()
    data = dataset(home)
    texts_of = zip(data.ids(), data.column("response").to_pylist(), strict=True)
    assert set(chosen(page)) == {i for i, r in texts_of if "number 7 " in r or "number 8 " in r} != set()
    before = chosen(page)
    page.text_input(key="coverage.query").set_value("(unclosed").run()
    assert not page.exception and chosen(page) == before
    assert "no valid search expression" in page.warning[0].value


def test_undo_and_redo_walk_through_every_selection(page):
    page.segmented_control(key="coverage.how").set_value("text").run()
    seen = [chosen(page)]
    for text in ("rash", "cough", "dose"):
        page.text_input(key="coverage.query").set_value(text).run()
        seen.append(chosen(page))
    panel(page, "Selection")
    for expected in seen[-2::-1]:
        page.button(key="coverage.undo").click().run()
        assert chosen(page) == expected
    assert page.button(key="coverage.undo").disabled
    for expected in seen[1:]:
        page.button(key="coverage.redo").click().run()
        assert chosen(page) == expected
    page.button(key="coverage.undo").click().run()
    page.text_input(key="coverage.query").set_value("rash").run()
    panel(page, "Selection")
    assert page.button(key="coverage.redo").disabled


def test_saved_selections_colour_the_map_and_filter_it(page, home):
    from core.actions.decisions import open_reviews
    from core.review.subsets import add_subset
    from core.workspace import open_workspace
    from pages.ui import coverage_data

    space, data = open_workspace(home / "small"), dataset(home)
    ids, store = data.ids(), open_reviews(open_workspace(home / "small"))
    assert coverage_data.SUBSET not in page.selectbox(key="coverage.colour").options
    for name, part in (("first", ids[:5]), ("second", ids[3:9])):
        add_subset(store, name, part, by="a", strategy="lasso", dataset_digest=data.digest)
    found = coverage_data.column(space, data, coverage_data.SUBSET).values.tolist()
    assert found[:10] == ["first"] * 3 + ["in several"] * 2 + ["second"] * 4 + [""]
    page.run()
    page.selectbox(key="coverage.colour").set_value(coverage_data.SUBSET).run()
    assert not page.exception, page.exception[0].value
    page.multiselect(key="coverage.filters").set_value(["category", coverage_data.SUBSET, "prompt_words"]).run()
    assert not page.exception, page.exception[0].value


def test_filters_hold_every_record_in_the_bar_of_its_value(page, home):
    from core.workspace import open_workspace
    from pages.ui import coverage_data

    space, data = open_workspace(home / "small"), dataset(home)
    points = coverage_data.layout(space, data)
    made = {f.name: f for f in coverage_data.facets(space, data, points, ["category", "response_words", "influence"])}
    category = data.column("category").to_pylist()
    assert [made["category"].names[c] for c in made["category"].codes[: data.count]] == category
    for name, facet in made.items():
        assert len(facet.codes) == len(points.ids), name
    assert set(page.session_state["coverage.filters"]) == set(coverage_data.default_filters(space, data))


def test_a_link_restores_colour_selection_search_and_open_record_and_names_no_value(page, home, start):
    from core.workspace import open_workspace

    page.segmented_control(key="coverage.how").set_value("text").run()
    page.text_input(key="coverage.query").set_value("cough").run()
    page.selectbox(key="coverage.colour").set_value("category").run()
    first = dataset(home).ids()[0]
    space = open_workspace(home / "small")
    token = space.keep_view(
        {"selection": {"ids": list(chosen(page)), "title": "Search “cough”"}, "search": ["text", "cough", "“cough”"]}
    )
    assert token.isalnum() and space.view(token)["search"][1] == "cough" and space.view("none") is None
    query = {
        "c": "category",
        "p": "Record",
        "o": f"training.{first}",
        "v": token,
        "f": "category:0a1b2c3d",
        "b": "0~0~2~2",
    }
    at = follow(start, **query)
    assert not at.exception, at.exception[0].value
    assert chosen(at) == chosen(page) != ()
    assert (
        at.selectbox(key="coverage.colour").value == "category" and at.text_input(key="coverage.query").value == "cough"
    )
    assert at.segmented_control(key="coverage.panel").value == "Record" and first.partition("-")[0] in texts(at)
    assert at.session_state["kept.coverage.opening"]["filters"] == query["f"]
    assert not set(query) & set(at.query_params), "a link is followed once"


def test_a_link_whose_view_is_gone_says_so(home, start):
    at = follow(start, v="0123456789abcdef0123")
    assert not at.exception and "not kept in this workspace any more" in at.warning[0].value


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
             "examples": ["p1"], "nearest": ["t1"], "low": 0.0274, "high": 0.0896}
        ],
    }  # fmt: skip
    (gap,) = gaps(info)
    assert gap.collect == 50 and gap.collect_low < 50 < gap.collect_high
    assert (gap.collect_low, gap.collect_high) == (28, 90)  # the ends of the interval x 1,000, rounded up
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


def test_diversity_of_a_selection_stands_beside_random_samples(page, home):
    ids = dataset(home).ids()
    page.session_state["selection"] = __import__("pages.ui.state", fromlist=["Selection"]).Selection(
        tuple(ids[:12]), "Twelve"
    )
    panel(page, "Diversity")
    assert page.segmented_control(key="coverage.diversity").value == "The selection"
    said = texts(page)
    said = said.replace("\\", "")
    assert "Twelve: 12 records" in said and "mean of 20 samples of random training records" in said
    table = page.dataframe[0].value
    assert {"measure", "value", "random", "verdict"} <= set(table.columns) and "Vendi score" in table[
        "measure"
    ].tolist()
    page.segmented_control(key="coverage.diversity").set_value("Production").run()
    assert not page.exception and "production.jsonl" in texts(page).replace("\\", "")


def test_a_cluster_gets_a_name_that_stays(page, home):
    from core.actions import naming
    from core.steps import current
    from core.workspace import open_workspace

    panel(page, "Clusters")
    field = next(t for t in page.text_input if t.label == "Name")
    field.set_value("Coughs **and** colds")
    next(b for b in page.button if b.label == "Rename").click().run()
    assert not page.exception, page.exception[0].value
    space = open_workspace(home / "small")
    assert naming.names(space, current(space, "clusters"))[0] == "Coughs **and** colds"
    assert any("Coughs" in str(v) for v in page.dataframe[0].value["name"])


def test_holes_say_what_chance_does_and_the_brief_follows_the_stakes(page, home):
    from core.actions.highstakes import set_rule
    from core.actions.holes import brief, ranked
    from core.steps import current
    from core.workspace import open_workspace

    space = open_workspace(home / "small")
    found, production = current(space, "coverage"), space.need("production")
    assert [h.stakes for h in ranked(space, found, production)] == [None] * len(found.info["holes"])
    set_rule(space, {"category": ["rash"]}, space.need())
    told = ranked(space, found, production)
    assert all(0 <= h.stakes <= h.size for h in told) and [h.rank for h in told] == list(range(1, len(told) + 1))
    assert brief(space, "csv").splitlines()[0].split(",").count("high_stakes") == 1
    panel(page, "Holes")
