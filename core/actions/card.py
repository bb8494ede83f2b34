"""The dataset card: one Markdown page beside an export that says what is in it, where it came from, and what is not known of it."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.actions.frame import has_values
from core.actions.inforce import in_force
from core.actions.mix import labels_now
from core.actions.standing import InForce, kept_rows
from core.actions.summary import metrics
from core.dataset.columns import ROLES
from core.dataset.preflight import EFFECTS, Preflight
from core.quality.scorecard import Metric
from core.workspace import Workspace, write_atomically

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
MOST = 40  # categories told by name
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-!|~&$])")


def put_card(workspace: Workspace, manifest: Mapping[str, Any], out: Path, checked: Preflight | None = None) -> str:
    """The name of the card's file, written beside the export."""
    path = out.with_name(f"{out.name}.card.md")
    write_atomically(path, card(workspace, manifest, out, checked))
    return path.name


def card(workspace: Workspace, manifest: Mapping[str, Any], out: Path, checked: Preflight | None = None) -> str:
    """The card of an export, by its manifest as `core.actions.exporting` returns it."""
    files = manifest.get("files") or {"": manifest}
    parts = [
        _front(workspace, manifest, out, files),
        f"# {text(out.name)}",
        _lead(manifest),
        _files(files),
        _choice(manifest),
    ]
    parts += [_splits(manifest), _edits(manifest), _sources(workspace), _composition(workspace)]
    found = metrics(workspace)
    parts += [_quality(workspace, found), _ledger(manifest), _preflight(manifest, checked), _limits(found, manifest)]
    return "\n\n".join(part for part in parts if part) + "\n"


def text(value: object, limit: int = 300) -> str:
    """Text from data for Markdown: every character that could be markup escaped, on one line."""
    plain = " ".join(str(value).split())
    plain = plain if len(plain) <= limit else plain[: limit - 1] + "…"
    return _SPECIAL.sub(r"\\\1", "".join(c if c.isprintable() else "�" for c in plain))


def table(head: list[str], rows: list[list[object]]) -> str:
    """A Markdown table; cells are escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(text(cell) for cell in row) + " |" for row in rows])


def _front(workspace: Workspace, manifest: Mapping[str, Any], out: Path, files: Mapping[str, Any]) -> str:
    """The YAML that the Hugging Face hub reads."""
    import yaml

    count = manifest["records"]
    facts: dict[str, Any] = {
        "pretty_name": out.name,
        "size_categories": [next((n for most, n in _SIZES if count < most), "n>10M")],
    }
    data = workspace.need()
    if has_values(data, "language"):
        languages = Counter(v for v in data.column("language").to_pylist() if v)
        codes = [v for v, _ in languages.most_common(20) if re.fullmatch(r"[a-z]{2,3}", v)]
        facts |= {"language": codes} if codes else {}
    facts["task_categories"] = ["text-generation"]
    facts["configs"] = [
        {
            "config_name": "default",
            "data_files": [{"split": name or "train", "path": one["file"]} for name, one in files.items()],
        }
    ]
    return "---\n" + yaml.safe_dump(facts, sort_keys=False, allow_unicode=True) + "---"


def _lead(manifest: Mapping[str, Any]) -> str:
    data = manifest["dataset"]
    return (
        f"{manifest['records']:,} records for supervised fine-tuning, taken from {text(data['name'])} "
        f"({data['records']:,} records, digest `{data['digest']}`), written {text(manifest['created'])} in the format "
        f"`{manifest['format']}` by Quadrant. Every number below was computed on that machine at that moment."
    )


def _files(files: Mapping[str, Any]) -> str:
    rows = [
        [one["file"], name or "all", f"{one['records']:,}", f"{one['bytes']:,}", one["sha256"]]
        for name, one in files.items()
    ]
    return "## Files\n\n" + table(["file", "split", "records", "bytes", "SHA-256"], rows)


def _choice(manifest: Mapping[str, Any]) -> str:
    chosen = manifest["subset"]
    lines = [f"- Chosen: {text(chosen['name'])}"]
    if chosen.get("strategy"):
        params = ", ".join(f"{k} = {v}" for k, v in chosen.get("params", {}).items())
        lines.append(
            f"- Strategy: {text(chosen['strategy'])} ({text(params, 600)}), by {text(chosen.get('made_by', ''))}"
        )
    lines += [f"- {chosen['left_out_as_removed']:,} records left out because the ledger removes them"]
    if chosen["not_in_this_version"]:
        lines.append(f"- {chosen['not_in_this_version']:,} records are not in this version of the data")
    lines += [f"- {text(note)}" for note in manifest.get("notes", ())]
    return "## How the records were chosen\n\n" + "\n".join(lines)


def _splits(manifest: Mapping[str, Any]) -> str:
    facts = manifest.get("splits")
    if not facts:
        return ""
    rows = [[n, f"{s['asked']:.1%}", f"{s['share']:.1%}", f"{s['records']:,}"] for n, s in facts["splits"].items()]
    lines = [
        f"Groups by {text(', '.join(facts['grouped_by']))} stay whole: {facts['groups']:,} groups, {facts['groups_of_several']:,} of "
        f"several records, the largest of {facts['largest_group']:,}. Seed {facts['seed']}. "
        f"No split is further than {100 * facts['off_by']:.2f} points from its share."
    ]
    if "near_duplicates_across" in facts:
        lines.append(
            f"{facts['near_duplicates_across']:,} near-duplicate pairs (similarity {facts['similarity']:g}) lie in two splits."
        )
    if facts.get("worst_stratum"):
        worst = facts["worst_stratum"]
        lines.append(
            f"Stratified by {text(facts['stratified_by'])} as far as the groups allow; furthest off: {text(worst['stratum'])} in "
            f"{text(worst['split'])}, {worst['records']:,} records instead of {worst['asked']:.1f}."
        )
    return "## Splits\n\n" + table(["split", "asked", "got", "records"], rows) + "\n\n" + "\n".join(lines)


def _edits(manifest: Mapping[str, Any]) -> str:
    put_in, labels = (manifest["subset"].get(kind) or [] for kind in ("corrections", "labels"))
    lines = []
    if put_in:
        who = ", ".join(sorted({str(one["accepted_by"]) for one in put_in}))
        lines.append(f"{len(put_in):,} responses were replaced by corrected ones, accepted by {text(who)}.")
    if labels:
        who = ", ".join(sorted({str(one["by"]) for one in labels}))
        lines.append(f"{len(labels):,} labels were changed by rules of {text(who)}.")
    return "## Edits\n\n" + " ".join(lines) + " The manifest keeps each original." if lines else ""


def _sources(workspace: Workspace) -> str:
    rows = []
    for role in ROLES:
        data = workspace.dataset(role)
        if data is not None:
            bad = data.report.get("quarantined", 0)
            rows.append([role, data.name, f"{data.count:,}", f"{bad:,}", data.imported[:10], data.digest])
    if workspace.shares():
        rows.append(["production", "given as shares", f"{len(workspace.shares()):,} categories", "", "", ""])
    lines = "## Sources\n\n" + table(["role", "file", "records", "rows quarantined", "imported", "digest"], rows)
    reasons = workspace.need().report.get("reasons", {})
    if reasons:
        left = ", ".join(f"{fact['count']:,} {kind}" for kind, fact in reasons.items())
        lines += f"\n\nRows of the training file that were not imported: {text(left, 600)}."
    return lines


def _composition(workspace: Workspace) -> str:
    data = workspace.need()
    force = in_force(workspace, data)
    parts = []
    for name in ("category", "language"):
        if has_values(data, name):
            labels = labels_now(workspace, data, name, force)
            kept = kept_rows(data, force)
            counts = Counter(value or "(none)" for value, stays in zip(labels, kept, strict=True) if stays)
            total = sum(counts.values())
            rows = [[value, f"{n:,}", f"{n / total:.1%}"] for value, n in counts.most_common(MOST)]
            more = f"\n\nThe {MOST} largest of {len(counts):,}." if len(counts) > MOST else ""
            parts.append(table([name, "records", "share"], rows) + more)
    if not parts:
        return ""
    return f"## Composition\n\n{_standing(force)}, before a subset was chosen.\n\n" + "\n\n".join(parts)


def _standing(force: InForce) -> str:
    """Whose numbers these are."""
    told = force.sentence()
    return f"Of the set as it stands ({text(told)} since the import)" if told else "Of the records as imported"


def _quality(workspace: Workspace, found: list[Metric]) -> str:
    force = in_force(workspace, workspace.need())
    rows = [
        [m.title, m.shown(), *([m.shown_imported() or "the same"] if force else []), m.shown_interval(), m.shown_target(), m.verdict,
         m.note]
        for m in found
        if m.value is not None
    ]  # fmt: skip
    unknown = [m.title for m in found if m.value is None]
    lines = f"## Quality\n\n{_standing(force)}, before a subset was chosen.\n\n"
    head = ["metric", "value", *(["as imported"] if force else []), "interval", "target", "verdict", "note"]
    lines += table(head, rows) if rows else "Nothing was measured."
    return lines + (f"\n\nNot known: {text(', '.join(unknown), 900)}." if unknown else "")


def _ledger(manifest: Mapping[str, Any]) -> str:
    entries = manifest["subset"]["ledger"]
    if not entries:
        return "## Removals\n\nNo removal is in force."
    rows = [[e["entry"], e["action"], f"{e['records']:,}", e["reason"], e["by"], e["at"][:10]] for e in entries]
    return "## Removals\n\n" + table(["entry", "action", "records", "reason", "by", "on"], rows)


def _preflight(manifest: Mapping[str, Any], checked: Preflight | None) -> str:
    facts = checked.to_json() if checked else None
    if not facts:
        return ""
    rows = [[f["title"], f"{f['records']:,}", EFFECTS[f["effect"]]] for f in facts["findings"]]
    head = f"For `{facts['format']}` at {facts['limit']:,} tokens ({text(facts['counted'])}): {facts['lost']:,} records left out."
    return "## Preflight\n\n" + head + ("\n\n" + table(["finding", "records", "what happens"], rows) if rows else "")


def _limits(found: list[Metric], manifest: Mapping[str, Any]) -> str:
    by = {m.id: m for m in found}
    lines = []
    audit = by["audit"]
    if audit.value is None:
        lines.append("No random audit was read, so nobody knows the share of bad records.")
    elif audit.high is not None:
        lines.append(
            f"A random audit was read: {text(audit.note)}. It says nothing of rarer faults than its sample can show."
        )
    if by["label_accuracy"].value is not None and by["label_accuracy"].low is None:
        lines.append("Label accuracy is a model's estimate, not a review.")
    if manifest["subset"].get("strategy"):
        lines.append(
            "The records were selected, so they are no random sample of the source, and its shares are not those of the source."
        )
    if by["kl"].value is None:
        lines.append("The set was not compared with production.")
    lines.append(
        "Near-duplicates are judged by one embedding model; paraphrases that it does not bring together are not seen."
    )
    lines.append(
        "Licence, consent and personal data were not examined by this program: say here what holds for the sources."
    )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)
