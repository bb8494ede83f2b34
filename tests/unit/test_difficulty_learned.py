"""The model learned from ratings: its measures against references, its arithmetic, its honesty, and what to rate next."""

import json

import numpy as np
import pytest

from core.actions.decisions import open_reviews
from core.actions.difficulty_sources import compare
from core.actions.rating import next_to_rate, prepare_training, rate, ratings_here, read_ratings, since
from core.dataset.importing import import_file
from core.errors import InputError, MissingInput
from core.influence.difficulty import ordinal, rank_measures, rated
from core.influence.difficulty.text_features import NAMES, text_features
from core.review.ratings import Rating, agreed, all_ratings, in_force, save_ratings
from core.steps import current, params_of, run_step, set_params
from core.workspace import open_workspace

LEVELS = np.arange(1.0, 6.0)


# -- measures --------------------------------------------------------------------------------------------------------------


def test_spearman_is_scipys_with_ties():
    from scipy.stats import spearmanr

    random = np.random.default_rng(0)
    for _ in range(5):
        a, b = random.integers(0, 6, 50).astype(float), random.integers(0, 9, 50).astype(float)
        assert rank_measures.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert np.isnan(rank_measures.spearman(np.ones(9), np.arange(9.0)))


def test_quadratic_kappa_is_sklearns():
    from sklearn.metrics import cohen_kappa_score

    random = np.random.default_rng(1)
    a = random.integers(1, 6, 80).astype(float)
    b = np.clip(a + random.integers(-1, 2, 80), 1, 5)
    expected = cohen_kappa_score(a, b, weights="quadratic", labels=LEVELS)
    assert rank_measures.quadratic_kappa(a, b, LEVELS) == pytest.approx(expected, abs=1e-12)
    assert rank_measures.quadratic_kappa(a, a, LEVELS) == 1


def test_length_alone_vanishes_when_length_is_held_equal():
    random = np.random.default_rng(2)
    length = random.integers(5, 2000, 4000).astype(float)
    a, b = length + random.normal(0, 1, 4000), length + random.normal(0, 1, 4000)
    assert rank_measures.spearman(a, b) > 0.99
    inside = [np.argsort(random.random(4000)) for _ in range(2)]
    x, y = np.round(length, -2) + inside[0] / 1e5, np.round(length, -2) + inside[1] / 1e5
    assert rank_measures.length_matched_spearman(x, y, length, bins=200) < 0.5 < rank_measures.spearman(x, y)
    noise = random.normal(size=4000)
    assert rank_measures.length_matched_spearman(noise, noise, length) == pytest.approx(1)


def test_length_matched_by_hand():
    """Two groups of three: ranks agree in the first (rho 1) and are reversed in the second (rho -1), so they cancel."""
    a, b = np.array([1, 2, 3, 11, 12, 13.0]), np.array([4, 5, 6, 23, 22, 21.0])
    length = np.array([1, 1, 1, 9, 9, 9.0])
    assert rank_measures.length_matched_spearman(a, b, length, bins=2) == pytest.approx(0, abs=1e-12)
    assert rank_measures.spearman(a, b) > 0.7


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    random, hits = np.random.default_rng(3), 0
    truth = 6 / np.pi * np.arcsin(0.5 / 2)  # Spearman of a bivariate normal with correlation 0.5
    for k in range(60):
        x = random.normal(size=120)
        y = 0.5 * x + np.sqrt(0.75) * random.normal(size=120)
        low, high = rank_measures.interval(rank_measures.spearman, (x, y), seed=k, draws=200)
        hits += low <= truth <= high
    assert hits >= 50


# -- the model -------------------------------------------------------------------------------------------------------------


def planted(count=300, noise=0.6, seed=0, width=12):
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, width))
    score = x[:, 0] + 0.5 * x[:, 1] + noise * random.normal(size=count)
    return x, np.searchsorted(np.quantile(score, (0.2, 0.4, 0.6, 0.8)), score) + 1.0


def test_left_out_scores_are_those_of_models_that_did_not_see_the_record():
    x, y = planted(40)
    found = ordinal.fit_ridge(x, y, strengths=np.array([3.0]))
    mean, middle = x.mean(0), y.mean()
    for i in (0, 7, 39):
        keep = np.arange(40) != i
        a = (x - mean)[keep]
        weights = np.linalg.solve(a.T @ a + 3 * np.eye(12), a.T @ (y[keep] - middle))
        assert found.left_out[i] == pytest.approx((x[i] - mean) @ weights + middle, abs=1e-9)


def test_links_are_those_of_a_proportional_odds_fit_and_their_gradient_is_right():
    """A single score that truly follows the model: slope and cuts come back; probabilities sum to 1."""
    random = np.random.default_rng(4)
    score = random.normal(3, 1, 20_000)
    latent = 1.7 * score + random.logistic(size=20_000)
    cuts = np.array([3.0, 4.5, 5.5, 7.0])
    ratings = np.searchsorted(cuts, latent) + 1.0
    found = ordinal.fit_links(score, ratings, LEVELS)
    assert found.slope == pytest.approx(1.7, abs=0.06) and np.allclose(found.cuts, cuts, atol=0.2)
    chances = found.probabilities(score[:50])
    assert np.allclose(chances.sum(1), 1) and (chances >= 0).all()
    shares = np.bincount(ratings.astype(int), minlength=6)[1:] / len(ratings)
    assert np.allclose(found.probabilities(score).mean(0), shares, atol=0.005)


def test_a_signal_is_found_and_noise_is_not():
    x, y = planted()
    expected, _, _ = ordinal.moments(ordinal.out_of_fold(x, y, LEVELS, np.arange(300)), LEVELS)
    assert rank_measures.spearman(expected, y) > 0.7
    shuffled = np.random.default_rng(5).permutation(y)
    blind, _, _ = ordinal.moments(ordinal.out_of_fold(x, shuffled, LEVELS, np.arange(300)), LEVELS)
    rho = rank_measures.spearman(blind, shuffled)
    assert np.isnan(rho) or abs(rho) < 0.2
    assert ordinal.fit(x, shuffled, LEVELS).links.weak and not ordinal.fit(x, y, LEVELS).links.weak


def test_out_of_fold_predictions_never_saw_their_rating():
    """With pure noise and far more features than ratings a leak would show as a high correlation."""
    random = np.random.default_rng(6)
    x, y = random.normal(size=(60, 400)), random.integers(1, 6, 60).astype(float)
    expected, _, _ = ordinal.moments(ordinal.out_of_fold(x, y, LEVELS, np.arange(60)), LEVELS)
    assert not abs(rank_measures.spearman(expected, y)) > 0.4


def test_picked_records_teach_but_never_judge():
    x, y = planted(120)
    judged = np.arange(0, 120, 2)
    chances = ordinal.out_of_fold(x, y, LEVELS, judged)
    assert chances.shape == (60, 5) and np.allclose(chances.sum(1), 1)
    spoiled = y.copy()
    spoiled[1::2] = y[np.random.default_rng(0).permutation(np.arange(1, 120, 2))]  # what picked records say does matter
    assert not np.allclose(ordinal.out_of_fold(x, spoiled, LEVELS, judged), chances)


def test_the_most_useful_are_spread_over_groups_and_avoid_what_is_rated():
    """Four tight groups, one of them rated: the first three picks are one of each of the other three."""
    random = np.random.default_rng(7)
    centres = 5 * np.eye(4)
    x = np.repeat(centres, 25, axis=0) + 0.1 * random.normal(size=(100, 4))
    picks = ordinal.most_useful(x, np.arange(5), np.arange(5, 100), 1.0, 3)
    assert sorted(p // 25 for p in picks) == [1, 2, 3]
    assert len(set(ordinal.most_useful(x, np.array([], int), np.arange(10), 1.0, 25))) == 10


def test_features_by_hand_and_in_any_order():
    prompts = ["Which of these is NOT true?\nA. 5 mg daily\nB. none of the above", "Tell me a story"]
    found = text_features(prompts, ["No. Because it may fail.", "Once upon a time."], ["", "Think"])
    at = {name: k for k, name in enumerate(NAMES)}
    assert len(NAMES) == len(set(NAMES)) == found.shape[1] and np.isfinite(found).all()
    assert found[0, at["answer options (prompt)"]] == pytest.approx(np.log1p(2))
    assert found[0, at["asks for the exception (prompt)"]] == 1 and found[1, at["asks for the exception (prompt)"]] == 0
    assert found[0, at["all or none of the above (prompt)"]] == 1 and found[
        0, at["measured values (prompt)"]
    ] == pytest.approx(np.log(2), abs=1e-6)
    assert found[0, at["reasons given (response)"]] == pytest.approx(np.log(2), abs=1e-6)
    assert found[1, at["words of the reasoning"]] == pytest.approx(np.log(2), abs=1e-6)
    back = text_features(prompts[::-1], ["Once upon a time.", "No. Because it may fail."], ["Think", ""])
    assert np.allclose(back[::-1], found)
    assert np.isfinite(text_features([""], [""], [""])).all()


# -- the store -------------------------------------------------------------------------------------------------------------


def test_ratings_are_append_only_and_the_newest_of_a_person_counts(database):
    from core.review.schema import open_store

    store = open_store(database)
    assert save_ratings(store, [Rating("a-1", 2, "ada", "random", "1"), Rating("a-1", 4, "bob", "random", "2")]) == 2
    assert save_ratings(store, [Rating("a-1", 2, "ada", "random", "1")]) == 0, "a retry is the same rating"
    assert save_ratings(store, [Rating("a-1", 5, "ada", "useful", "3"), Rating("b-1", 1, "ada", "useful", "4")]) == 2
    assert agreed(all_ratings(store)) == {"a-1": (5, "random"), "b-1": (1, "useful")}
    save_ratings(store, [Rating("a-1", 0, "bob", "random", "5"), Rating("b-1", 0, "ada", "useful", "6")])
    assert [(r.record_id, r.level) for r in in_force(all_ratings(store))] == [("a-1", 5)]
    assert len(all_ratings(store)) == 6 and all_ratings(store)[0].record_digest == "a"
    for level, rater, picked in ((6, "ada", "random"), (True, "ada", "random"), (3, " ", "random"), (3, "ada", "luck")):
        wrong = Rating("a-1", level, rater, picked, "7")
        with pytest.raises(InputError, match="Nothing was saved"):
            save_ratings(store, [Rating("c-1", 3, "ada", "random", "8"), wrong])
    assert len(all_ratings(store)) == 6


def test_an_older_database_gets_the_table(tmp_path):
    import sqlite3

    from core.review.schema import open_store

    path = tmp_path / "reviews.sqlite"
    open_store(str(path)).engine.dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE difficulty_ratings")
    assert all_ratings(open_store(str(path))) == []


# -- the step --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """120 records whose difficulty (1..5 in the file) is the length of the word list in the prompt, embedded by words."""
    folder, random = tmp_path_factory.mktemp("ws"), np.random.default_rng(0)
    rows = []
    for n in range(120):
        level = 1 + n % 5
        words = " ".join(
            f"{w}{random.integers(9)}" for w in ("fever", "renal", "tumour", "porphyria", "amyloid")[:level]
        )
        rows.append({"prompt": f"Case {n}: {words}?", "response": f"Answer {n} on {words}.", "difficulty": level})
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    space = open_workspace(folder / "ws")
    space.add("training", path.name, lambda part: import_file(path, part, "training"))
    set_params(space, "embed", {"model": "lexical"})
    run_step(space, "embed")
    return space


@pytest.fixture
def space(base, tmp_path):
    import shutil

    shutil.copytree(base.path, tmp_path / "ws")
    return open_workspace(tmp_path / "ws")


def give(space, count, picked="random", start=0):
    data = space.need()
    pairs = list(zip(data.ids(), data.column("difficulty").to_pylist(), strict=True))[start : start + count]
    save_ratings(open_reviews(space), [Rating(i, int(d), "ada", picked, f"{picked}{i}") for i, d in pairs])


def test_too_few_or_one_level_is_refused_in_one_sentence(space):
    data = space.need()
    with pytest.raises(MissingInput, match="Nobody's ratings"):
        run_step(space, "rated_difficulty")
    give(space, 12)
    with pytest.raises(
        MissingInput, match=r"^12 rated records are too few to learn from: 20 are needed\. Rate more first\.$"
    ):
        prepare_training(space, data)
    save_ratings(open_reviews(space), [Rating(i, 3, "ada", "random", f"x{i}") for i in data.ids()[:30]])
    with pytest.raises(MissingInput, match="All 30 ratings are the same"):
        prepare_training(space, data)
    assert params_of(space, "rated_difficulty")["ratings"] == {} and current(space, "rated_difficulty") is None


def test_learned_difficulty_is_a_column_with_its_worth(space):
    give(space, 60)
    data = space.need()
    assert prepare_training(space, data) == 60
    result = run_step(space, "rated_difficulty")
    table, info = result.table(), result.info
    assert table["record_id"].to_pylist() == data.ids() and sum(table["rated"].to_pylist()) == 60
    expected, truth = table["expected"].to_numpy(), np.array(data.column("difficulty").to_pylist())
    unseen = ~np.array(table["rated"].to_pylist())
    assert rank_measures.spearman(expected[unseen], truth[unseen]) > 0.8
    chances = np.stack([table[f"p_{k}"].to_numpy() for k in range(1, 6)], 1)
    assert np.allclose(chances.sum(1), 1) and np.allclose(chances @ LEVELS, expected)
    assert info["judged"] == 60 and info["spearman"][1] > 0.6 and info["kappa"][0] > 0.6
    assert info["spearman"][1] < info["spearman"][0] + 0.01 and info["spearman"][0] < info["spearman"][2] + 0.01
    assert {w["feature"] for w in info["weights"]} >= {"all of the embedding", "words (prompt)"}
    assert sum(c["records"] for c in info["calibration"]) == 60
    assert run_step(space, "rated_difficulty").key == result.key, "nothing new: stored"
    rate(space, data.ids()[100], 5, "ada", "useful")
    assert since(space, ratings_here(space, data)) == 1 and current(space, "rated_difficulty").key == result.key
    rows = {r["name"]: r for r in compare(space, data)}
    assert rows["rated_difficulty"]["unseen"] and rows["rated_difficulty"]["ratings"] == info["spearman"][0]
    assert rows["difficulty"]["ratings"] > 0.9 and not rows["difficulty"]["heuristic"]


def test_it_is_judged_on_records_drawn_by_chance_or_says_so(space):
    give(space, 30)
    give(space, 40, "useful", 30)
    prepare_training(space, space.need())
    info = run_step(space, "rated_difficulty").info
    assert info["judged"] == 30 and info["ratings"] == 70 and not info["warnings"]
    for record in list(ratings_here(space, space.need()))[:20]:
        rate(space, record, 0, "ada", "random")
    prepare_training(space, space.need())
    info = run_step(space, "rated_difficulty").info
    assert info["judged"] == 50 and "Only 10 of these records were drawn by chance" in info["warnings"][0]


def test_a_column_and_a_continuous_one_are_levels_and_fifths(space):
    prepare_training(space, space.need(), "column")
    info = run_step(space, "rated_difficulty").info
    assert info["levels"] == [1, 2, 3, 4, 5] and info["levels_are"] == "as rated" and info["counts"] == [24] * 5
    values, levels, how = rated.targets(np.append(np.linspace(0, 1, 100), np.nan))
    assert levels.tolist() == [1, 2, 3, 4, 5] and "fifths of the 100" in how and np.isnan(values[-1])
    assert np.bincount(values[:-1].astype(int)).tolist() == [0, 20, 20, 20, 20, 20]


def test_first_by_chance_then_useful_and_never_a_record_twice(space):
    data = space.need()
    first = next_to_rate(space, data)
    assert first.picked == "random" and len(first.ids) == 25 and first == next_to_rate(space, data)
    for k, record in enumerate(first.ids):
        rate(space, record, 1 + k % 5, "ada", first.picked, f"k{k}")
    second = next_to_rate(space, data)
    assert second.picked == "useful" and len(second.ids) == 25 and not set(second.ids) & set(first.ids)
    assert "never judge it" in second.note
    third = next_to_rate(space, data, how="random")
    assert third.picked == "random" and not set(third.ids) & set(first.ids)


def test_ratings_from_a_file(space, tmp_path):
    ids, path = space.need().ids(), tmp_path / "ratings.csv"
    path.write_text("record_id,level\n" + "".join(f"{i},{1 + k % 5}\n" for k, i in enumerate(ids[:30])))
    assert read_ratings(space, space.need(), path, "ada") == 30 and read_ratings(space, space.need(), path, "ada") == 0
    path.write_text(f"record_id,level\n{ids[0]},7\n")
    with pytest.raises(InputError, match=r"line 2: the level '7'"):
        read_ratings(space, space.need(), path, "ada")
    path.write_text("record_id,level\nnobody-1,3\n")
    with pytest.raises(InputError, match="no record of the training data"):
        read_ratings(space, space.need(), path, "ada")


def test_the_command_line_reaches_all_of_it(space, tmp_path):
    from typer.testing import CliRunner

    from core.cli.main import app

    def said(*args):
        found = CliRunner().invoke(app, [*args, "--workspace", str(space.path), "--json"])
        assert found.exit_code == 0, (found.output, found.exception)
        return json.loads(found.stdout)

    listed = said("rate", "--next", "25")["next"]
    assert listed["picked"] == "random"
    path = tmp_path / "mine.csv"
    path.write_text(
        "record_id,level,picked\n" + "".join(f"{i},{1 + k % 5},random\n" for k, i in enumerate(listed["record_ids"]))
    )
    assert said("rate", str(path), "--by", "ada", "--train")["learned"]["judged"] == 25
    assert [s["name"] for s in said("difficulty-sources")["sources"]] == ["difficulty", "rated_difficulty"]
    picked = said("select", "--strategy", "difficulty", "--budget", "5", "--difficulty", "rated_difficulty")
    assert picked["params"]["difficulty_axis"].startswith("Difficulty learned")
