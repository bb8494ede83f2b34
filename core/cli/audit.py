"""Commands about audits: drawing and repeating a draw, who reads, what is high stakes, and the final verdicts."""

from dataclasses import asdict, replace
from typing import Annotated

import typer

from core.cli.common import HERE, ME, By, Json, Where, say
from core.errors import InputError
from core.workspace import open_workspace

Sample_ = Annotated[str | None, typer.Option(help="Id (or its start) or name of a sample; the newest when absent.")]


app = typer.Typer()


@app.command()
def audit(
    workspace: Where = HERE,
    sample: Annotated[int, typer.Option(help="How many records to draw.")] = 50,
    seed: int = 7,
    method: Annotated[str, typer.Option(help="random, stratified, risk, high-stakes or follow-up.")] = "random",
    stratify: Annotated[
        bool, typer.Option(help="Short for --method stratified: by category, largest remainder.")
    ] = False,
    group: Annotated[
        str, typer.Option(help="Column of the strata; what a follow-up goes by: category or cluster.")
    ] = "category",
    risk: Annotated[
        list[str] | None, typer.Option(help="Points of a risk, as label=4; may be repeated. 0 leaves it out.")
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(help="Sample that a follow-up follows: id, its start, or name; the newest when absent."),
    ] = None,
    double: Annotated[
        float, typer.Option(help="Share, in %, that a second reader reads too; the practice asks for 5 to 10.")
    ] = 10.0,
    subset: Annotated[str | None, typer.Option(help="Draw from a named subset.")] = None,
    plan: Annotated[
        str, typer.Option(help="What decides: fixed (3 of 50), exact (for two rates) or sequential.")
    ] = "fixed",
    accept: Annotated[int | None, typer.Option(help="The most issues a fixed plan allows.")] = None,
    good: Annotated[float, typer.Option(help="The true rate, in %, of a set that should pass.")] = 2.0,
    bad: Annotated[float, typer.Option(help="The true rate, in %, of a set that should not.")] = 10.0,
    rubric: Annotated[
        str | None, typer.Option(help="What is asked of each record; the four questions when absent.")
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Draw nothing: repeat the draw of --after (the newest when absent) and compare.")
    ] = False,
    json_: Json = False,
) -> None:
    """Draw a sample of records to be read, and keep the plan that will decide; or repeat a draw from its record."""
    from core.actions.auditing import draw_audit, redraw
    from core.actions.decisions import open_reviews
    from core.actions.reporting import sample_named
    from core.review.plan import plan_for
    from core.review.queues import double_records
    from core.review.samples import sample_records

    space = open_workspace(workspace, create=False)
    if verify:
        known = sample_named(open_reviews(space), after)
        found = redraw(space, known)
        say(json_, {"sample": known.id, "same": found.same, "told": found.told}, f"{known.name}: {found.told}")
        if found.same is not True:
            raise typer.Exit(1)
        return
    if sample < 1:
        raise InputError(f"A sample of {sample} records shows nothing. Draw at least 1; the practice is 50.")
    census = method == "high-stakes"
    chosen = None if census else plan_for(plan, sample, good / 100, bad / 100, accept=accept)
    follow = sample_named(open_reviews(space), after) if method == "follow-up" else None
    drawn, ids = draw_audit(
        space, chosen.size if chosen else sample, seed, stratify, subset, by="command line", plan=chosen, rubric=rubric,
        method=method, group=group, points=_points(risk), after=follow, double=double / 100,
    )  # fmt: skip
    records = sample_records(open_reviews(space), drawn.id)
    second = [record.record_id for record in double_records(drawn, records)]
    facts = {
        "sample": drawn.id, "name": drawn.name, "method": drawn.method, "seed": seed, "plan": drawn.recipe["plan"],
        "record_ids": ids, "probabilities": [record.probability for record in records], "double": second,
        "recipe": dict(drawn.recipe),
    }  # fmt: skip
    head = f"{drawn.name}: {drawn.size} of {drawn.population:,} records ({drawn.method})"
    twice = [f"{len(second)} of them are read twice"] if second else []
    say(json_, facts, "\n".join([head, *twice, *ids]))


@app.command()
def people(
    workspace: Where = HERE,
    add: Annotated[str | None, typer.Option(help="Enter this person, or change what is entered of them.")] = None,
    role: Annotated[str | None, typer.Option(help="annotator, second or advisor.")] = None,
    specialty: Annotated[str | None, typer.Option(help="As cardiology.")] = None,
    credential: Annotated[str | None, typer.Option(help="As MD, or a licence.")] = None,
    email: Annotated[str | None, typer.Option(help="The address they sign in with.")] = None,
    remove: Annotated[str | None, typer.Option(help="Take this person off the list; their verdicts stay.")] = None,
    by: By = ME,
    json_: Json = False,
) -> None:
    """List who reads here with their calibration, enter somebody, or take somebody off the list."""
    from core.actions.decisions import open_reviews
    from core.actions.readiness import readiness
    from core.review import people as who

    space = open_workspace(workspace, create=False)
    store = open_reviews(space)
    if add:
        given = {"role": role, "specialty": specialty, "credential": credential, "email": email}
        given = {name: value for name, value in given.items() if value is not None}
        who.keep_person(store, replace(who.person(store, " ".join(add.split())), active=True, **given), by)
    if remove:
        who.remove_person(store, remove, by)
    listed, lines = [], []
    for one in who.people(store).values():
        ready = readiness(space, one.name)
        score = f"{ready.right} of {ready.of}" if ready.of else ""
        listed.append({**asdict(one), "calibration": ready.state, "right": ready.right, "of": ready.of})
        lines.append(f"{one.title}{f' <{one.email}>' if one.email else ''}: calibration {ready.state} {score}".rstrip())
    say(
        json_,
        {"people": listed},
        "\n".join(lines) or "Nobody is entered. Names that gave verdicts count as annotators.",
    )


@app.command("high-stakes")
def high_stakes(
    workspace: Where = HERE,
    where: Annotated[
        list[str] | None,
        typer.Option(help="column=value that makes a record high stakes; may be repeated. Replaces the rule."),
    ] = None,
    clear: Annotated[bool, typer.Option(help="Take the rule away; marks of readers stay.")] = False,
    json_: Json = False,
) -> None:
    """Show or set which records are high stakes; `audit --method high-stakes` draws all of them."""
    from core.actions.decisions import open_reviews
    from core.actions.highstakes import columns_for, high_stakes_ids, rule, set_rule
    from core.dataset.columns import FIELD_PREFIX

    space = open_workspace(workspace, create=False)
    data = space.need("training")
    if where or clear:
        chosen: dict[str, list[str]] = {}
        for one in where or ():
            column, equals, value = one.partition("=")
            if not equals or not value:
                raise InputError(f"{one!r} says no column and value. Write it as category=dosing.")
            name = column if column in columns_for(data) else FIELD_PREFIX + column
            chosen.setdefault(name, []).append(value)
        set_rule(space, chosen, data)
    ids = sorted(high_stakes_ids(space, data, open_reviews(space)))
    told = [f"{column.removeprefix(FIELD_PREFIX)}: {', '.join(values)}" for column, values in rule(space).items()]
    say(
        json_,
        {"rule": rule(space), "record_ids": ids},
        "\n".join([*(told or ["No rule."]), f"{len(ids):,} records"]),
    )


@app.command()
def adjudicate(
    workspace: Where = HERE,
    sample: Sample_ = None,
    record: Annotated[str | None, typer.Option(help="The record to decide; the list of open ones when absent.")] = None,
    verdict: Annotated[str | None, typer.Option(help="pass, fail, unsure, or withdrawn.")] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    by: By = ME,
    json_: Json = False,
) -> None:
    """List the records on which readers differ or are unsure, and give the final verdict on one."""
    import uuid

    from core.actions.decisions import decided, open_reviews
    from core.actions.readiness import rules
    from core.actions.reporting import sample_named
    from core.review.adjudication import adjudicate as decide
    from core.review.adjudication import open_cases
    from core.review.readers import against_final, final_words
    from core.review.verdicts import current_verdicts

    space = open_workspace(workspace, create=False)
    store = open_reviews(space)
    known = sample_named(store, sample)
    standings = current_verdicts(store, known.id)
    if record or verdict:
        if not (record and verdict):
            raise InputError("A decision needs --record and --verdict.")
        ours = rules(space)
        decide(
            store, known.id, record, verdict, reason, by, standings=standings, token=uuid.uuid4().hex,
            allowed=ours.adjudicators, own=ours.own,
        )  # fmt: skip
    decisions = decided(store, known)
    waiting = open_cases(standings, decisions)
    finals = against_final(standings, decisions)
    lines = [f"{one}: " + ", ".join(
        f"{e.verdict.reviewer} {e.verdict.outcome}" for e in standings if e.verdict.record_id == one
    ) for one in waiting]  # fmt: skip
    done = [
        f"{d.record_id}: {d.outcome} by {d.adjudicator}: {' '.join(d.reason.split())[:100]}" for d in decisions.values()
    ]
    facts = {
        "sample": known.id, "open": waiting, "decided": [asdict(one) for one in decisions.values()],
        "readers": [asdict(one) for one in finals],
    }  # fmt: skip
    told = [f"{known.name}: {len(waiting)} to adjudicate, {len(done)} decided", *lines, *done]
    say(json_, facts, "\n".join([*told, *(f"{one.reader} {final_words(one)}" for one in finals if one.decided)]))


def _points(given: list[str] | None) -> dict[str, float]:
    """Risk -> points of `--risk label=4`."""
    found = {}
    for one in given or ():
        name, _, value = one.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise InputError(f"{one!r} names no points. Write it as label=4.") from None
    return found
