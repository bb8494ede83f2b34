"""The Distribution page: the stored comparison, other columns, shares, training alone, and its selections."""

import math

from core.workspace import open_workspace


def text(at) -> str:
    return "\n".join(m.value for m in [*at.markdown, *at.caption, *at.info]).replace("\\", "")


def button(at, key):
    return next(b for b in at.button if b.key == key)


def test_the_stored_comparison(home, start):
    at = start("distribution")
    assert not at.exception
    # 20 of 60 each against 10 and 10 of 20: ln(.5 / .3333) = 0.4055
    assert f"{math.log(1.5):.4f} nats" in text(at)
    assert "chance alone gives" in text(at) and "more than chance" in text(at)
    assert {m.label: m.value for m in at.metric}["Reverse KL"] == "∞"
    assert "production: 20 of 20 records" in text(at)


def test_other_columns_and_clusters(home, start):
    at = start("distribution")
    box = at.selectbox(key="distribution.column")
    for name in ("annotator", "difficulty", "prompt_length", "cluster"):
        box.set_value(name).run()
        assert not at.exception, name
        assert "Compare by" in [b.label for b in at.selectbox]


def test_downsampling_becomes_a_selection(home, start):
    at = start("distribution")
    assert "Keeps **40 of 60** records" in text(at)
    assert "lowest influence" in text(at)
    button(at, "distribution.keep").click().run()
    assert not at.exception
    assert "40 records selected" in at.success[0].value.replace("\\", "")
    assert len(at.session_state["selection"]) == 40


def test_what_a_downsampling_keeps(home):
    from core.actions.decisions import open_reviews
    from core.actions.rebalancing import downsample, faulty_ids
    from core.review.ledger import remove_records
    from core.steps import current

    space = open_workspace(home / "small")
    data = space.need()
    ids, labels = data.ids(), data.column("category").to_pylist()
    bad = faulty_ids(space, data)
    assert bad
    remove_records(open_reviews(space), [ids[0]], reason="test", by="test")
    keep = {"cough": 8, "rash": 5, "dose": 20}
    found = downsample(space, data, labels, keep)
    counts = {c: sum(labels[ids.index(i)] == c for i in found.ids) for c in keep}
    assert ids[0] not in found.ids and found.removed == 1
    assert counts["cough"] == 8 and counts["rash"] == 5
    assert list(found.ids) == sorted(found.ids, key=ids.index)
    assert downsample(space, data, labels, keep) == found
    good = [i for i, label in zip(ids, labels, strict=True) if label == "rash" and i not in bad]
    rash = [i for i in found.ids if labels[ids.index(i)] == "rash"]
    if len(good) >= 5:  # then no near-duplicate stays, and what stays has the highest influence
        table = current(space, "influence").table(["influence", "heldout"])
        held = table.column("heldout").to_pylist()
        influence = dict(zip(ids, table.column("influence").to_pylist(), strict=True))
        assert not set(rash) & bad
        free = [i for i in good if not held[ids.index(i)]]
        lowest = min(influence[i] for i in rash if not held[ids.index(i)])
        assert all(influence[i] <= lowest or i in rash for i in free)


def test_training_alone_asks_for_production(imported, start):
    at = start("distribution")
    assert not at.exception
    assert "Nothing to compare with" in text(at)
    assert {m.label: m.value for m in at.metric}["Categories"] == "3"


def test_shares_are_said_to_be_exact(imported, start):
    open_workspace(imported / "raw").set_shares({"cough": 0.5, "rash": 0.3, "other": 0.2})
    at = start("distribution")
    assert not at.exception
    assert "taken as exact" in text(at)
    assert "Infinite: training lacks *other*" in text(at)
    at.selectbox(key="distribution.column").set_value("annotator").run()
    assert not at.exception
    assert "only the category can be compared" in text(at)


def test_fewest_changes_keeps_pins_and_obeys_the_settings(home, start):
    from core.actions.decisions import open_reviews
    from core.review.ledger import pin_records, pinned_ids

    space = open_workspace(home / "small")
    data = space.need()
    dose = [i for i, c in zip(data.ids(), data.column("category").to_pylist(), strict=True) if c == "dose"]
    pin_records(open_reviews(space), dose[:3], reason="rare", by="me")
    at = start("distribution")
    at.segmented_control(key="distribution.plan").set_value("Fewest changes").run()
    assert not at.exception, at.exception
    # Production never asks for dose: 17 go, 3 are pinned; cough and rash are short of 30 by 10 each.
    assert "**37 records** change: remove 17, collect 20" in text(at)
    at.toggle(key="distribution.settings").set_value(True).run()
    at.number_input(key="distribution.per_class").set_value(0).run()
    assert "**17 records** change: remove 17, collect 0" in text(at)
    button(at, "distribution.keep").click().run()
    assert len(at.session_state["selection"]) == 43 and set(dose[:3]) <= set(at.session_state["selection"].ids)
    button(at, "distribution.pin").click().run()
    assert not at.exception and len(pinned_ids(open_reviews(space))) == 43


def test_training_as_it_stands(home, start):
    from core.actions.decisions import open_reviews
    from core.review.ledger import remove_records

    space = open_workspace(home / "small")
    data = space.need()
    dose = [i for i, c in zip(data.ids(), data.column("category").to_pylist(), strict=True) if c == "dose"]
    remove_records(open_reviews(space), dose, reason="test", by="me")
    at = start("distribution")
    assert not at.exception
    assert "0.0000 nats" in text(at), "cough and rash alone are as production asks"
    at.toggle(key="distribution.standing").set_value(False).run()
    assert f"{math.log(1.5):.4f} nats" in text(at)


def test_counts_have_an_error_of_their_own(imported, start):
    open_workspace(imported / "raw").set_shares({"cough": 0.5, "rash": 0.3, "dose": 0.2}, total=100)
    at = start("distribution")
    assert not at.exception
    assert "100 requests, given as counts" in text(at) and "taken as exact" not in text(at)
