"""The literal table of steps, and running one: what it needs, its key, its result.

A step is a function `run(inputs: Inputs) -> Output` in its own room. Its key is a hash of the step, its version, its complete
parameters and the keys of its inputs, so asking twice computes once, and another parameter is another result beside the first.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import InputError, MissingInput
from core.progress import Progress, silent
from core.workspace import Dataset, Output, Result, Workspace, canonical, digest_of


@dataclass(frozen=True)
class Step:
    """One row of STEPS. A trailing "?" marks an input that is used when it is there."""

    run: str  # "package.module:function", imported only to run it or to read its defaults
    version: int  # raise it when the same inputs would give another output
    title: str
    datasets: tuple[str, ...] = ("training",)
    needs: tuple[str, ...] = ()
    needs_if: Mapping[str, tuple[str, Any]] = field(default_factory=dict)  # step -> (parameter, value) that asks for it
    # Parameters that came after results were stored, and the values that were the rule until then: at these they stay out of the key,
    # or every stored result and all that follows from it would be made again.
    later: Mapping[str, Any] = field(default_factory=dict)
    asked: bool = False  # runs when it is named, never as part of an analysis: it costs much, or explains another step


EMBED = "core.embedding.encode:run"
LATER = {"dtype": "float32"}
SKETCH = "core.influence.sketches:run"

STEPS: dict[str, Step] = {
    "formats": Step("core.quality.formats:run", 2, "Check the format rules"),
    "distribution": Step(
        "core.quality.distribution:run", 2, "Compare categories with production", ("training", "production?")
    ),
    "embed": Step(EMBED, 1, "Embed the records", later=LATER),
    "preview": Step("core.embedding.layout:preview", 1, "Draw a first map (PCA)", needs=("embed",)),
    "embed:production": Step(EMBED, 1, "Embed production", ("production",), needs_if={"embed": ("model", "lexical")}, later=LATER),
    "embed:validation": Step(
        EMBED, 1, "Embed the validation set", ("validation",), needs_if={"embed": ("model", "lexical")}, later=LATER,
    ),
    "neighbours": Step("core.embedding.neighbours:run", 2, "Find nearest neighbours", needs=("embed",)),
    "map": Step(
        "core.embedding.layout:run", 3, "Lay out the map (UMAP)", ("training", "production?"),
        needs=("embed", "neighbours", "embed:production?"),
    ),
    "clusters": Step("core.embedding.clusters:run", 5, "Find and name clusters", needs=("embed", "neighbours")),
    "duplicates": Step("core.quality.duplicates:run", 1, "Find near-duplicates", needs=("embed",)),
    "word_duplicates": Step("core.quality.duplicates:words", 1, "Find near-duplicates by words"),
    "contradictions": Step("core.quality.contradictions:run", 1, "Find contradictions", needs=("duplicates",)),
    "leakage": Step(
        "core.quality.leakage:run", 1, "Look for leakage", ("training", "validation?", "gold?", "production?"),
        needs=("embed", "embed:validation?", "embed:production?"),
    ),
    "labels": Step("core.quality.labels:run", 6, "Look for wrong labels", needs=("embed", "neighbours")),
    "misfit": Step("core.quality.misfit:run", 1, "Look for responses that do not fit", needs=("embed",)),
    "prevalence": Step(
        "core.quality.prevalence:run", 2, "Predict production's categories", ("training", "production"),
        needs=("embed", "embed:production"), asked=True,
    ),
    "coverage": Step(
        "core.embedding.coverage:run", 6, "Look for holes against production", ("training", "production"),
        needs=("embed", "embed:production", "clusters"),
    ),
    "proxy": Step("core.influence.proxy:run", 1, "Train the proxy model", ("training", "validation?")),
    "influence": Step(
        "core.influence.influence:run", 3, "Compute influence", ("training", "validation?"),
        needs_if={"proxy": ("model", "proxy"), "embed": ("model", "match")},
    ),
    "influence:tokens": Step(
        "core.influence.shares:run", 1, "Find the words that help or harm", ("training", "validation?"),
        needs=("influence",), needs_if={"proxy": ("model", "proxy"), "embed": ("model", "match")}, asked=True,
    ),
    "influence:sketch": Step(
        SKETCH, 1, "Sketch the gradients", needs_if={"proxy": ("model", "proxy")}, asked=True,
    ),
    "influence:sketch:validation": Step(
        SKETCH, 1, "Sketch the validation gradients", ("validation",), needs_if={"proxy": ("model", "proxy")}, asked=True,
    ),
    "difficulty": Step(
        "core.influence.difficulty.loss_based:run", 1, "Compute loss-based difficulty", ("training", "validation?"),
        needs_if={"proxy": ("model", "proxy")},
    ),
    "llm_difficulty": Step("core.influence.difficulty.llm_difficulty:run", 1, "Rate difficulty with a language model", asked=True),
    "titles": Step("core.actions.titling:run", 2, "Ask a language model for cluster titles", needs=("embed", "clusters"), asked=True),
    "classifier": Step("core.influence.difficulty.classifier:run", 1, "Rate difficulty with a classifier", asked=True),
    "rated_difficulty": Step(
        "core.influence.difficulty.rated:run", 1, "Learn difficulty from ratings", needs=("embed",),
        needs_if={"llm_difficulty": ("source", "llm")}, asked=True,
    ),
}  # fmt: skip
"""In the order in which `analyze` runs them: what is quick to see comes first."""


def step_named(name: str) -> Step:
    if name not in STEPS:
        raise InputError(f"There is no step {name!r}; the steps are {', '.join(STEPS)}.")
    return STEPS[name]


def _module(step: Step) -> tuple[Any, str]:
    module, _, function = step.run.partition(":")
    return importlib.import_module(module), function


def defaults(name: str) -> dict[str, Any]:
    """The parameters of a step with their default values: `DEFAULTS` of its module, or `<FUNCTION>_DEFAULTS`."""
    module, function = _module(step_named(name))
    own = "DEFAULTS" if function == "run" else f"{function.upper()}_DEFAULTS"
    return dict(getattr(module, own, {}))


def params_of(workspace: Workspace, name: str, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Complete parameters of a step here: defaults, then what the workspace has set, then `overrides`.

    The roles of one step share what was set for it: `embed:production` follows `embed`, or their vectors could not be compared.
    """
    known = defaults(name)
    chosen = workspace.settings().get("params", {}).get(name.partition(":")[0], {})
    given = {**chosen, **(overrides or {})}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"Step {name} has no parameter {unknown[0]!r}; it has {', '.join(known) or 'none'}.")
    return {**known, **given}


def complete(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a stored result holds, with those that came later at the value that was the rule then."""
    return {**STEPS[name].later, **params}


def set_params(workspace: Workspace, name: str, values: Mapping[str, Any]) -> None:
    """Make `values` the workspace's parameters of a step from now on; unknown names are refused."""
    name = name.partition(":")[0]
    params_of(workspace, name, values)
    everything = dict(workspace.settings().get("params", {}))
    everything[name] = {**everything.get(name, {}), **values}
    workspace.set_setting("params", everything)


@dataclass(frozen=True)
class Plan:
    """A step with all that its key depends on; making one computes nothing."""

    step: str
    key: str
    params: dict[str, Any]
    datasets: dict[str, Dataset]
    upstream: tuple["Plan", ...]

    def recipe(self) -> dict[str, Any]:
        inputs = {role: data.digest for role, data in self.datasets.items()} | {p.step: p.key for p in self.upstream}
        step = STEPS[self.step]
        params = {k: v for k, v in self.params.items() if k not in step.later or step.later[k] != v}
        return {"version": step.version, "params": params, "inputs": inputs}

    def walk(self) -> Iterator["Plan"]:
        """This plan after all that it needs, each once."""
        seen: set[str] = set()

        def visit(plan: "Plan") -> Iterator["Plan"]:
            for before in plan.upstream:
                yield from visit(before)
            if plan.step not in seen:
                seen.add(plan.step)
                yield plan

        yield from visit(self)


def plan(workspace: Workspace, name: str, overrides: Mapping[str, Any] | None = None) -> Plan:
    """Resolve a step against the workspace. Errors: MissingInput when data that it needs was never imported."""
    step = step_named(name)
    params = params_of(workspace, name, overrides)
    if name == "distribution" and params["shares"] is None:
        params["shares"], params["total"] = workspace.shares(), workspace.shares_total()
        if params["shares"] is None and workspace.dataset("production") is None:
            raise MissingInput(
                f"{step.title} needs a production sample, or production's category shares. Import one first."
            )
    found = {role.rstrip("?"): workspace.dataset(role.rstrip("?")) for role in step.datasets}
    if name == "leakage" and not params["files"] and not any(found[role] for role in found if role != "training"):
        raise MissingInput(
            f"{step.title} needs a validation, gold or production set, or a benchmark file. Import one first."
        )
    for role in step.datasets:
        if not role.endswith("?") and found[role] is None:
            raise MissingInput(f"{step.title} needs {role} data. Import a file with --role {role} first.")
    datasets = {role: data for role, data in found.items() if data is not None}
    upstream = []
    for need in step.needs:
        try:
            upstream.append(plan(workspace, need.rstrip("?")))
        except MissingInput:
            if not need.endswith("?"):
                raise
    upstream += [plan(workspace, need) for need, (param, value) in step.needs_if.items() if params.get(param) == value]
    extra = ""
    fingerprint = getattr(
        _module(step)[0], "fingerprint", None
    )  # of files that parameters point to, e.g. a model folder
    if fingerprint is not None:
        extra += fingerprint(params)
    recipe = Plan(name, "", params, datasets, tuple(upstream)).recipe()
    return Plan(name, digest_of(name, canonical(recipe), extra), params, datasets, tuple(upstream))


def current(workspace: Workspace, name: str, overrides: Mapping[str, Any] | None = None) -> Result | None:
    """The stored result of a step for the data and parameters of now; None when it was not computed (or cannot be)."""
    try:
        wanted = plan(workspace, name, overrides)
    except MissingInput:
        return None
    return workspace.result(name, wanted.key)


def run_plan(workspace: Workspace, wanted: Plan, progress: Progress = silent) -> Result:
    """Run one planned step whose inputs are all there; returns the stored result at once when there is one."""
    module, function = _module(STEPS[wanted.step])
    results = {}
    for before in wanted.upstream:
        found = workspace.result(before.step, before.key)
        if found is None:
            raise MissingInput(
                f"{STEPS[wanted.step].title} needs the result of `{before.step}`. Run `{before.step}` first."
            )
        results[before.step] = found
    run: Callable[..., Output] = getattr(module, function)
    return workspace.compute(wanted.step, wanted.key, wanted.recipe(), run, wanted.datasets, results, progress)


def run_step(
    workspace: Workspace, name: str, overrides: Mapping[str, Any] | None = None, progress: Progress = silent
) -> Result:
    """Run a step and whatever it needs that is not there yet."""
    wanted = plan(workspace, name, overrides)
    for part in wanted.walk():
        result = run_plan(workspace, part, progress)
    return result


def order(
    workspace: Workspace, names: Sequence[str], overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Plan]:
    """The plans for some steps and all that they need, each once, in an order that works."""
    plans: dict[str, Plan] = {}
    for name in names:
        for part in plan(workspace, name, (overrides or {}).get(name)).walk():
            plans.setdefault(part.key, part)
    return list(plans.values())


def analysis(workspace: Workspace, everything: bool = False) -> tuple[list[str], dict[str, str]]:
    """The steps that can run on what the workspace holds, and for the others the reason why not; `everything`: the asked ones too.

    Of the asked ones a step runs unasked whose module says that these data want it: `wanted(params, datasets)`.
    """
    able, unable = [], {}
    for name, step in STEPS.items():
        wanted = None
        if step.asked and not everything:
            wanted = getattr(_module(step)[0], "wanted", None)
            if wanted is None:
                continue
        try:
            found = plan(workspace, name)
            if wanted is None or wanted(found.params, found.datasets):
                able.append(name)
        except MissingInput as error:
            if wanted is None:
                unable[name] = str(error)
    return able, unable


def live_keys(workspace: Workspace) -> list[str]:
    """Keys of the results that belong to the data and parameters of now; `gc` keeps these."""
    keys = []
    for name in analysis(workspace, everything=True)[0]:
        keys.append(plan(workspace, name).key)
    return keys
