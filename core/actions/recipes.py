"""A recipe: the decisions of a workspace as YAML, to be read by people and replayed on a new version of the file.

Records are named by the digest of their row, so a decision meets exactly the rows it was made on. Beside each stands a digest of its
prompt: a row that was edited since is told apart from one that is gone. Nothing is decided for an edited row; it is listed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import yaml

from core.actions.choosing import pick, selection_frame
from core.actions.decisions import open_reviews
from core.actions.recipe_settings import check_settings, replay_settings, settings_of
from core.errors import InputError, QuadrantError
from core.quality.duplicates import canonical_text
from core.review.edits import accept_all, accepted
from core.review.ledger import entry_ids, keep_records, ledger, pin_records, remove_records, removed_ids
from core.review.relabels import relabel, relabelled, rule_of
from core.review.schema import Store
from core.review.subsets import add_subset, subset_ids, subsets
from core.workspace import Dataset, Workspace, canonical, digest_of, now

VERSION = 1
MOST_BYTES = 200_000_000
_ID = re.compile(r"[0-9a-f]{16}-[1-9]\d*")
_HINT = re.compile(r"[0-9a-f]{12}|-")
_WRITE = {"remove": remove_records, "keep": keep_records, "pin": pin_records}
BY_HAND = ("selection", "lasso", "search", "quadrant")
"""Subsets that were picked by hand: replayed as their records, not by a strategy."""


# -- writing ------------------------------------------------------------------------------------------------------------------


def recipe_of(workspace: Workspace) -> dict[str, Any]:
    """The decisions in force, as plain data: settings, ledger, labels, accepted responses, named subsets."""
    data, store = workspace.need("training"), open_reviews(workspace)
    hints = _hints(data)
    entries = [e for e in ledger(store) if e.action != "undo" and e.undone_by is None]
    made: dict[str, Any] = {
        "quadrant_recipe": VERSION,
        "made": now(),
        "data": {"name": data.name, "digest": data.digest, "records": data.count},
        "settings": settings_of(workspace),
        "ledger": [],
        "relabels": [],
        "responses": [],
        "subsets": [],
    }
    for e in entries:
        fact = {"entry": e.entry, "reason": e.reason, "by": e.created_by, "at": e.created_at}
        if e.action in _WRITE:
            made["ledger"].append({"action": e.action} | fact | {"records": _block(entry_ids(store, e.entry), hints)})
        elif e.action == "relabel":
            rule = rule_of(store, e.entry) or {}
            changes = relabelled(store, str(rule.get("field", "category")))
            own = [i for i in entry_ids(store, e.entry) if i in changes and changes[i].entry == e.entry]
            made["relabels"].append(
                fact | {"field": rule.get("field", "category"), "rule": rule.get("rule") or {},
                        "changes": [{"record": i, "was": changes[i].before, "is": changes[i].after} for i in own]}
            )  # fmt: skip
    for record_id, edit in accepted(store).items():
        made["responses"].append(
            {"record": record_id, "prompt": hints.get(record_id, "-"), "proposed_by": edit.proposed_by, "by": edit.created_by,
             "text": edit.text}
        )  # fmt: skip
    for one in reversed(subsets(store)):
        fact = {"name": one.name, "strategy": one.strategy, "params": dict(one.params), "by": one.created_by}
        made["subsets"].append(fact | {"records": _block(subset_ids(store, one.id), hints)})
    return made


def _hints(data: Dataset) -> dict[str, str]:
    prompts = data.column("prompt").to_pylist()
    return {i: _hint(text) for i, text in zip(data.ids(), prompts, strict=True)}


def _hint(prompt: str) -> str:
    return blake2b(canonical_text(prompt or "").encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _block(ids: Sequence[str], hints: Mapping[str, str]) -> str:
    """A record a line: its id and the digest of its prompt ("-" where this version lacks the record)."""
    return "".join(f"{i} {hints.get(i, '-')}\n" for i in ids)


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a block, so that people can read and compare recipes; no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def write_recipe(recipe: Mapping[str, Any], out: Path) -> None:
    """Write it as YAML. InputError when the file cannot be written."""
    from core.workspace import write_atomically

    try:
        write_atomically(out, yaml_of(recipe))
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}. Choose another place.") from error


def yaml_of(recipe: Mapping[str, Any]) -> str:
    head = "# Decisions made with Quadrant: `python -m core replay THIS_FILE -w WORKSPACE` repeats them on another version.\n"
    return head + yaml.dump(dict(recipe), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


# -- reading ------------------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Safe YAML without anchors, by which a small file could grow without end, and without a key given twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it uses an alias (*name), which a recipe never needs")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((k for n, k in enumerate(keys) if k in keys[:n]), None)
        if twice is not None:
            raise yaml.YAMLError(f"the key {twice!r} is given twice")
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)

_TOP = {
    "quadrant_recipe": int, "made": str, "data": dict, "settings": dict, "ledger": list, "relabels": list, "responses": list,
    "subsets": list,
}  # fmt: skip
_PARTS: dict[str, dict[str, Any]] = {
    "ledger": {"action": str, "entry": int, "reason": str, "by": str, "at": str, "records": str},
    "relabels": {"entry": int, "reason": str, "by": str, "at": str, "field": str, "rule": dict, "changes": list},
    "responses": {"record": str, "prompt": str, "proposed_by": str, "by": str, "text": str},
    "subsets": {"name": str, "strategy": str, "params": dict, "by": str, "records": str},
}
_OPTIONAL = {*_TOP, "entry", "at", "by", "rule", "proposed_by", "prompt"} - {"quadrant_recipe"}


def read_recipe(path: Path) -> dict[str, Any]:
    """A recipe from its YAML, every key and kind checked. InputError: what is wrong, where, and what to do."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} is larger than {MOST_BYTES // 10**6} MB, the limit for a recipe.")
        text = path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Name an existing recipe.") from error
    except UnicodeDecodeError:
        raise InputError(f"{path} is no UTF-8 text, so it is no recipe. Export one with `recipe`.") from None
    return recipe_from(text, str(path))


def recipe_from(text: str, name: str = "The recipe") -> dict[str, Any]:
    """As `read_recipe`, of a text."""
    try:
        found = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(
            f"{name} is no YAML that can be read: {' '.join(str(error).split())[:300]}. Correct it."
        ) from None
    _keys(found, _TOP, name, "a recipe")
    if found["quadrant_recipe"] != VERSION:
        raise InputError(f"{name} is a recipe of format {found['quadrant_recipe']}, this program reads {VERSION}.")
    for part, kinds in _PARTS.items():
        for number, item in enumerate(found.get(part, ()), 1):
            where = f"{name}, {part} {number}"
            _keys(item, kinds, where, f"an item of {part}")
            if "records" in item:
                _lines(item["records"], where)
            if part == "ledger" and item["action"] not in _WRITE:
                raise InputError(f"{where}: the action is {item['action']!r}; it is one of {', '.join(_WRITE)}.")
            if part == "responses" and not _ID.fullmatch(item["record"]):
                raise InputError(f"{where}: {item['record']!r} is no record id.")
            for change in item.get("changes", ()):
                _keys(change, {"record": str, "was": str, "is": str}, where, "a change")
                if not _ID.fullmatch(change["record"]):
                    raise InputError(f"{where}: {change['record']!r} is no record id.")
    settings = found.get("settings", {})
    check_settings(settings, name)
    return found


def _keys(value: Any, kinds: Mapping[str, type], where: str, what: str) -> None:
    if not isinstance(value, dict):
        raise InputError(f"{where} is not {what}: it must have the keys {', '.join(kinds)}.")
    for key in value:
        if key not in kinds:
            raise InputError(f"{where} has the unknown key {key!r}; {what} has {', '.join(kinds)}.")
    for key, kind in kinds.items():
        if key not in value:
            if key not in _OPTIONAL:
                raise InputError(f"{where} lacks {key!r}, which {what} needs.")
        elif not isinstance(value[key], kind) or isinstance(value[key], bool):
            raise InputError(f"{where}: {key} must be of the kind {kind.__name__}, not {value[key]!r}"[:300] + ".")


def _lines(block: str, where: str) -> list[tuple[str, str]]:
    """(record id, digest of its prompt) of each line."""
    found = []
    for number, line in enumerate(block.splitlines(), 1):
        if not line.strip():
            continue
        record_id, _, hint = line.partition(" ")
        if not _ID.fullmatch(record_id) or not _HINT.fullmatch(hint.strip() or "-"):
            raise InputError(
                f"{where}: line {number} of its records is {line[:60]!r}; it must be a record id and a prompt digest."
            )
        found.append((record_id, hint.strip() or "-"))
    return found


# -- replaying ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What one decision of a recipe finds in this version. `state`: ready, done, nothing, refused; `why` of the last two."""

    what: str
    state: str
    matched: tuple[str, ...] = ()
    changed: tuple[tuple[str, str], ...] = ()  # (id in the recipe, id of the edited record here)
    gone: tuple[str, ...] = ()
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "what": self.what, "state": self.state, "matched": len(self.matched), "changed": [list(pair) for pair in self.changed],
            "gone": list(self.gone), "why": self.why,
        }  # fmt: skip


@dataclass
class _Here:
    """The version that a recipe meets."""

    workspace: Workspace
    data: Dataset
    store: Store
    known: set[str]
    by_hint: dict[str, list[str]]
    labels: dict[str, dict[str, str | None]] = field(default_factory=dict)

    def sort(
        self, wanted: Sequence[tuple[str, str]]
    ) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], tuple[str, ...]]:
        """(matched, changed, gone)."""
        named = {i for i, _ in wanted}
        matched, changed, gone = [], [], []
        for record_id, hint in wanted:
            if record_id in self.known:
                matched.append(record_id)
                continue
            others = [one for one in self.by_hint.get(hint, ()) if one not in named] if hint != "-" else []
            if others:
                changed.append((record_id, others[0]))
            else:
                gone.append(record_id)
        return tuple(matched), tuple(changed), tuple(gone)


def replay(workspace: Workspace, recipe: Mapping[str, Any], by: str, dry_run: bool = False) -> list[Outcome]:
    """What each decision of a recipe finds here, and (unless `dry_run`) does. Replaying twice on one version changes nothing more.

    A decision whose row was edited is not repeated for it: `changed` names the new record, for a person to decide.
    """
    data = workspace.need("training")
    by_hint: dict[str, list[str]] = {}
    for record_id, hint in _hints(data).items():
        by_hint.setdefault(hint, []).append(record_id)
    here = _Here(workspace, data, open_reviews(workspace), set(data.ids()), by_hint)
    name = digest_of(canonical({k: v for k, v in recipe.items() if k != "made"}))[:12]
    told = [
        Outcome(what, state, why=why) for what, state, why in replay_settings(workspace, data, recipe.get("settings", {}), dry_run)
    ]  # fmt: skip
    told += [_entry(here, item, f"{name}:l{n}", by, dry_run) for n, item in enumerate(recipe.get("ledger", ()))]
    told += [_relabel(here, item, f"{name}:r{n}", by, dry_run) for n, item in enumerate(recipe.get("relabels", ()))]
    if recipe.get("responses"):
        told.append(_responses(here, recipe["responses"], f"recipe {name} {data.digest[:12]}", by, dry_run))
    told += [_subset(here, item, by, dry_run) for item in recipe.get("subsets", ())]
    return told


def _token(here: _Here, key: str) -> str:
    return digest_of("recipe", key, here.data.digest)


def _entry(here: _Here, item: Mapping[str, Any], key: str, by: str, dry_run: bool) -> Outcome:
    wanted = _lines(item["records"], "ledger")
    matched, changed, gone = here.sort(wanted)
    what = f"{item['action']} {len(wanted):,} records: {item['reason']}"
    if not matched:
        return Outcome(what, "nothing", matched, changed, gone, "none of its records is in this version")
    if not dry_run:
        reason = f"{item['reason']} (recipe{', by ' + item['by'] if item.get('by') else ''})"
        _WRITE[item["action"]](here.store, matched, reason=reason, by=by, token=_token(here, key))
    return Outcome(what, "ready" if dry_run else "done", matched, changed, gone)


def _relabel(here: _Here, item: Mapping[str, Any], key: str, by: str, dry_run: bool) -> Outcome:
    column = item["field"]
    what = f"relabel {len(item['changes']):,} records ({column}): {item['reason']}"
    if column not in here.data.columns:
        return Outcome(what, "refused", why=f"this version has no column {column}")
    if column not in here.labels:
        values = here.data.column(column).to_pylist()
        here.labels[column] = dict(zip(here.data.ids(), values, strict=True))
    labels = here.labels[column]
    matched, changed, gone = here.sort([(c["record"], "-") for c in item["changes"]])
    able = [(c["record"], c["was"], c["is"]) for c in item["changes"] if str(labels.get(c["record"])) == c["was"]]
    if not able:
        return Outcome(
            what, "nothing", (), changed, gone, "none of its records is in this version with the label it had"
        )
    if not dry_run:
        rule = {**(item.get("rule") or {}), "recipe": True}
        relabel(
            here.store,
            able,
            field=column,
            rule=rule,
            reason=f"{item['reason']} (recipe)",
            by=by,
            token=_token(here, key),
        )
    return Outcome(what, "ready" if dry_run else "done", tuple(i for i, _, _ in able), changed, gone)


def _responses(here: _Here, items: Sequence[Mapping[str, Any]], batch: str, by: str, dry_run: bool) -> Outcome:
    matched, changed, gone = here.sort([(item["record"], item.get("prompt", "-")) for item in items])
    texts = {item["record"]: item["text"] for item in items if item["record"] in here.known}
    what = f"{len(items):,} accepted responses"
    if not texts:
        return Outcome(what, "nothing", (), changed, gone, "none of its records is in this version")
    if not dry_run:
        force = accepted(here.store)
        new = {i: text for i, text in texts.items() if i not in force or force[i].text != text}
        if new:
            accept_all(here.store, new, "recipe", batch, by)
    return Outcome(what, "ready" if dry_run else "done", matched, changed, gone)


def _subset(here: _Here, item: Mapping[str, Any], by: str, dry_run: bool) -> Outcome:
    """A strategy is asked again on this version; a pick by hand is its records."""
    from core.influence.selection.strategies import STRATEGIES

    wanted = _lines(item["records"], "subsets")
    matched, changed, gone = here.sort(wanted)
    name, strategy, params = item["name"], item["strategy"], dict(item["params"])
    if name in {one.name for one in subsets(here.store)}:
        return Outcome(f"subset {name!r}", "nothing", matched, changed, gone, "a subset of this name is here already")
    if strategy in STRATEGIES:
        what = f"subset {name!r}: {strategy} again, {params.get('budget', len(wanted))} records"
        try:
            ids = _picked(here, strategy, params, len(wanted), compute=not dry_run)
        except QuadrantError as error:
            return Outcome(what, "refused", matched, changed, gone, str(error))
        same = len(set(ids) & {i for i, _ in wanted})
        why = f"{len(ids):,} picked here, {same:,} of them as before"
    else:
        what, why = f"subset {name!r}: {len(wanted):,} records picked by hand ({strategy})", ""
        removed = removed_ids(here.store)
        ids = [i for i in matched if i not in removed]
        if not ids:
            return Outcome(what, "nothing", matched, changed, gone, "none of its records is in this version")
    if not dry_run:
        facts = {**params, "replayed": True}
        add_subset(here.store, name, ids, by=by, strategy=strategy, dataset_digest=here.data.digest, params=facts)
    return Outcome(what, "ready" if dry_run else "done", tuple(ids), changed, gone, why)


def _picked(here: _Here, strategy: str, params: dict[str, Any], count: int, compute: bool) -> Sequence[str]:
    """The pick of a strategy on this version, by the parameters that were kept with the first one."""
    from core.influence.selection.strategies import STRATEGIES

    own = {k: v for k, v in params.items() if k in STRATEGIES[strategy].params}
    difficulty, influence = params.get("difficulty"), params.get("influence", "influence")
    source = difficulty if isinstance(difficulty, str) else None
    frame = selection_frame(here.workspace, here.data, source, influence if isinstance(influence, str) else "influence")
    budget = params.get("budget", count)
    return pick(here.workspace, strategy, budget, int(params.get("seed", 0)), source, frame, compute, **own).record_ids
