"""Of which model, parameters and validation records the influence is, and where that is set."""

import streamlit as st

from core.actions.frame import has_values
from core.dataset.columns import FIELD_PREFIX
from core.errors import QuadrantError
from core.influence.checkpoints import KEPT
from core.influence.models import HUB_ID, MATCH, PROXY
from core.influence.queries import BY
from core.steps import current, params_of, set_params
from core.workspace import Result, Workspace
from pages.ui import jobs
from pages.ui.safe import literal, short

SPACES = {
    "all": "All parameters",
    "adapter": "The adapter's own parameters",
    "lora": "LoRA space: rank 8 on query, key and value",
    "last-1": "The last block",
    "last-2": "The last 2 blocks",
    "last-4": "The last 4 blocks",
}
DIRECTIONS = {
    "auto": "Inverse curvature for the matching proxy, else the mean gradient",
    "mean": "Mean validation gradient, as DIQ",
    "adam": "The same as Adam would scale it, as LESS",
    "ggn": "The same through the inverse curvature of the model: slower to begin",
}
LOSSES = {
    "mean": "Mean over the response's tokens",
    "sum": "Sum over the response's tokens: long responses weigh more",
}
SCORES = {
    "dot": "Dot product, as DIQ",
    "cosine": "Cosine: the length of the gradient does not count",
    "mean-cosine": "Mean of the cosines with each validation record",
    "self-influence": "Self-influence: the squared length of the record's own gradient",
}
AXIS = {
    "dot": "Influence (above 0 helps, below 0 harms)",
    "cosine": "Influence, a cosine (above 0 helps, below 0 harms)",
    "mean-cosine": "Influence, a mean of cosines (above 0 helps, below 0 harms)",
    "self-influence": "Self-influence (higher moves the model more; says nothing of help or harm)",
}

TRIALS = (
    "In trials with real retraining (a small model, made-up tasks, two seeds) the rank correlation with the true effect was .90 and "
    ".85 for all parameters through the inverse curvature, .80 and .66 for all with the mean gradient, .54 and .45 in LoRA space."
)
"""LDS of `python -m benchmarks faithfulness`; docs/adr/0007-directions.md has the whole table."""

CHEAP = (("space", "lora", "gradients in LoRA space"), ("direction_kind", "mean", "held against the mean gradient"))
WEAKER = (
    "This choice is the cheap one: {} In trials with real retraining, all parameters through the inverse curvature followed the true "
    "effect far better; choose them under Settings before a decision rests on it."
)


def axis(workspace: Workspace) -> str:
    """What the axis of influence is called: by the score that was asked for."""
    return AXIS.get(params_of(workspace, "influence")["score"], AXIS["dot"])


def settings(workspace: Workspace) -> None:
    """The model and the kind of influence; another choice is another result beside the first, and going back is at once."""
    params = params_of(workspace, "influence")
    with st.popover("Settings", icon=":material/tune:"), st.form("quadrant.settings", border=False):
        own = st.text_input(
            "Model", "" if params["model"] == MATCH else params["model"], key="quadrant.model",
            placeholder="empty: the matching proxy",
            help="Empty: a matching head on embeddings, in seconds. The word proxy: a small language model trained on these "
            "records. Or the folder of a causal language model in transformers format, or a hub id such as owner/name. A hub id that "
            "is not in the local cache is fetched from the hub when the job runs; nothing else ever leaves this machine.",
        )  # fmt: skip
        adapter = st.text_input(
            "Adapter (LoRA)", params["adapter"], key="quadrant.adapter", placeholder="none",
            help="A folder that PEFT's save_pretrained wrote: adapter_config.json and adapter_model.safetensors. It is merged into "
            "the model in memory; the files stay as they are.",
        )  # fmt: skip
        spaces = SPACES | ({} if params["space"] in SPACES else {params["space"]: params["space"]})
        space = st.selectbox(
            "Parameters", list(spaces), index=list(spaces).index(params["space"]), format_func=spaces.get, key="quadrant.space",
            help="Of which parameters the gradients are taken; for a language model only. Rankings differ: "
            f"{TRIALS} LoRA space is cheaper and lost much of the signal.",
        )  # fmt: skip
        scores = list(SCORES)
        score = st.selectbox("Score", scores, scores.index(params["score"]), SCORES.get, key="quadrant.score")
        st.caption("Cosines and self-influence are exact, from the same pass as the dot product.")
        direction = _choice(
            "Direction",
            DIRECTIONS,
            params["direction"],
            "quadrant.direction",
            f"What a record's gradient is held against. {TRIALS}",
        )
        by = {"": "No: one query, the whole validation set"} | {n: short(n, 60) for n in _groupings(workspace)}
        queries = _choice(
            "A query for each", by, params["queries"], "quadrant.queries",
            "One direction and one column of influence for each value of this field of the validation records, in the same pass.",
        )  # fmt: skip
        loss = _choice(
            "Loss of a record", LOSSES, params["loss"], "quadrant.loss",
            "The sum gives long responses larger influence of either sign: a length bias.",
        )  # fmt: skip
        warm = st.number_input(
            "Warm-up, % of the training records", 0.0, 100.0, 100.0 * params["warmup"], 1.0, key="quadrant.warmup",
            help="The model is first trained for 4 epochs on a random share of the records, as LESS does with 5 %. 0: no warm-up.",
        )  # fmt: skip
        asked = params["checkpoints"]
        listed = st.text_area(
            "Checkpoints (TracIn)", "\n".join(asked) if isinstance(asked, list) else asked, key="quadrant.checkpoints", height=68,
            placeholder="none",
            help="Folders of one training run, a line each: influence is summed over them, each times its learning rate from "
            "trainer_state.json. For the proxy: the word kept; it is then trained again with 3 checkpoints.",
        )  # fmt: skip
        if st.form_submit_button("Compute", type="primary"):
            folders = [line.strip() for line in listed.splitlines() if line.strip()]
            _apply(workspace, own.strip() or MATCH, {
                "space": space, "score": score, "direction": direction, "queries": queries, "loss": loss, "warmup": warm / 100,
                "checkpoints": KEPT if folders == [KEPT] else folders or "", "adapter": adapter.strip(),
            })  # fmt: skip


def _choice(label: str, known: dict[str, str], now: str, key: str, told: str) -> str:
    """A selectbox over {value: title}; a value that was set elsewhere stays choosable."""
    known = known if now in known else known | {now: now}
    return st.selectbox(label, list(known), list(known).index(now), known.get, key=key, help=told)


def _groupings(workspace: Workspace) -> list[str]:
    """The columns of the validation records (held-out training records when there are none) that can name queries."""
    data = workspace.dataset("validation") or workspace.dataset("training")
    return [n for n in BY if has_values(data, n)] + [n for n in data.columns if n.startswith(FIELD_PREFIX)]


def _apply(workspace: Workspace, model: str, chosen: dict[str, object]) -> None:
    from pathlib import Path

    folder = Path(model).expanduser()
    if model not in (MATCH, PROXY) and not folder.is_dir() and (folder.exists() or not HUB_ID.fullmatch(model)):
        st.error(f"{literal(model)} is neither a folder on this machine nor a hub id such as owner/name.")
        return
    try:
        set_params(workspace, "influence", {"model": model, **chosen})
        if model == PROXY and chosen["checkpoints"] == KEPT and not params_of(workspace, "proxy")["checkpoints"]:
            set_params(workspace, "proxy", {"checkpoints": 3})
        own = {"model": PROXY, "adapter": ""} if model == MATCH else {"model": model, "adapter": chosen["adapter"]}
        set_params(workspace, "difficulty", own)
        if current(workspace, "influence") is None or current(workspace, "difficulty") is None:
            jobs.launch(["run", "influence", "difficulty"], "Compute influence")
    except QuadrantError as error:
        st.error(literal(error, 400))
        return
    st.rerun()


def how(workspace: Workspace, influence: Result, difficulty: Result | None) -> None:
    """In full, and calm: what was computed, of what, how exactly."""
    with st.expander("How this was computed"):
        for line in facts(influence.info):
            st.markdown(f"- {line}")
        for warning in influence.info.get("warnings", []):
            st.markdown(f"- :material/info: {literal(warning, 400)}")
        if difficulty is not None:
            st.markdown("**Loss-based difficulty** (NLL, perplexity, IFD)")
            info = difficulty.info
            st.markdown(
                "- Heuristics of a language model: how badly it predicts the response. They rank noise and length high as well; "
                "nobody rated them."
            )
            if info.get("sentence"):
                st.markdown(f"- Model: {literal(info['sentence'], 400)}")
            if info.get("unconditioned"):
                st.markdown(f"- IFD compares with {literal(info['unconditioned'], 300)}.")
            for said in (info.get("truncation"), info.get("check"), *info.get("warnings", [])):
                if said:
                    st.markdown(f"- {literal(said, 400)}")
        curve = proxy_curve(workspace, influence)
        if curve:
            st.plotly_chart(curve, theme="streamlit", config={"displayModeBar": False}, key="quadrant.curve")
            st.caption("Loss of the proxy while it was trained, in nats per token.")


def limits(info: dict) -> list[str]:
    """What a reader must know before trusting the axis: the warnings of the result, and a choice that gives signal away."""
    found = list(info.get("warnings", []))
    if info.get("model") == MATCH or info.get("score", "").startswith("self"):
        return found
    cheap = [what for key, value, what in CHEAP if info.get(key) == value]
    return found + ([WEAKER.format(" and ".join(cheap) + ".")] if cheap else [])


def facts(info: dict) -> list[str]:
    """What the result says of itself, a line each, for Markdown."""
    found = [
        "**Influence** of a record: how much a small step of training on it lowers the loss on the validation records, to first order "
        f"({literal(info.get('score', 'dot product with the mean validation gradient'), 300)}). "
        "Exact in its parameter space: nothing is sampled."
    ]
    if info.get("sentence"):
        found.append(f"**Model**: {literal(info['sentence'], 400)}")
    if info.get("architecture"):
        found.append(
            f"{literal(info['architecture'])}, {info['parameters']:,} parameters, revision {literal(info['revision'])}, "
            f"on {literal(info['device'])} in {literal(info['dtype'])}"
        )
    if info.get("parameter_space"):
        found.append(f"**Parameter space**: {literal(info['parameter_space'], 300)}")
    if info.get("validation"):
        found.append(
            f"**Validation**: {literal(info['validation'], 400)}; direction: {literal(info.get('direction', ''), 400)}"
        )
    if info.get("queries"):
        found.append(
            f"**Queries**: {len(info['queries'])}, one for each {literal(info['queries_by'], 60)} of the validation records; "
            "influence is their mean, and each has a column of its own"
        )
    for name in ("warmup", "checkpoints"):
        if info.get(name):
            found.append(f"**{'Warm-up' if name == 'warmup' else 'Checkpoints'}**: {literal(info[name], 600)}")
    if info.get("model") == MATCH:
        found.append(f"**Loss** of a record: {literal(info['loss'], 300)}; {literal(info['truncation'])}")
    elif info.get("target"):
        found.append(
            f"**Loss** of a record: {literal(info.get('loss', 'mean'))} over the tokens of {literal(info['target'])}, "
            f"template: {literal(info.get('template', ''))}; {literal(info.get('truncation', ''))}"
        )
    if info.get("check"):
        found.append(f"**Built-in check**: {literal(info['check'], 300)}")
    if info.get("batches"):
        found.append(f"**Batches**: {literal(info['batches'], 300)}")
    if info.get("seconds"):
        rate = f", {info['tokens_per_second']:,} tokens per second" if info.get("tokens_per_second") else ""
        found.append(f"{info.get('scored', 0):,} records in {info['seconds']:,} s{rate}")
    return found


def proxy_curve(workspace: Workspace, influence: Result):
    """The training of the proxy as a figure; None for another model or without its curve."""
    if influence.params.get("model") != PROXY:
        return None
    proxy = current(workspace, "proxy")
    curve = proxy.info.get("curve") if proxy else None
    if not curve:
        return None
    from core.figures.charts import loss_curve

    known = [c for c in curve if c.get("tokens")]
    figure = loss_curve([c["tokens"] for c in known], [c["training"] for c in known], [c["validation"] for c in known])
    figure.update_xaxes(title={"text": "tokens seen"})
    return figure
