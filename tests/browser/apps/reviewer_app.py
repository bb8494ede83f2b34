"""The reviewer alone, over records made here, for the browser tests and the benchmark.

REVIEW_DIR: folder of the database. REVIEW_COUNT: records (50). REVIEW_TEXT: characters of each response (400).
REVIEW_SPEED: seconds that each save takes on top (0). A file `broken` in REVIEW_DIR makes every save fail.
"""

import os
import time
from pathlib import Path

import streamlit as st

from core.errors import WorkspaceError
from core.review.sampling import draw_random
from core.review.store import add_sample, current_verdicts, open_store, sample_records, samples, save_verdicts
from pages.ui.reviewer import reviewer, save_outbox, shown

FOLDER = Path(os.environ["REVIEW_DIR"])
COUNT = int(os.environ.get("REVIEW_COUNT", "50"))
LENGTH = int(os.environ.get("REVIEW_TEXT", "400"))
HOSTILE = (
    '<img src="http://evil.example/a.png" onerror="fetch(\'http://evil.example\')"><script>document.title="pwned"</script>\n'
    "![pic](http://evil.example/b.png) [x](javascript:alert(1)) $\\href{javascript:alert(1)}{x}$\n"
    "<style>*{background:url(http://evil.example/c)}</style>\n"
    "nul:\x00 bidi:\u202eabc\u202c zero:a\u200bb sep:a\u2028b bom:\ufeff joined emoji: 👩\u200d⚕️ persian: می\u200cخواهم"
)
LONG = "A very long answer about fluid balance. " * 5000
GIANT = "word " * 40_000


def record(i: int) -> dict:
    response = (
        f"Answer {i}. Give 1.25 mg once a day with food and check the potassium after one week; it should stay under "
        "5.5 mmol/L. Call if there is swelling of the lips or face. "
    )
    row = {
        "record_id": f"{i:016x}-1",
        "line": i + 1,
        "category": ["cardiology", "renal", "paediatrics"][i % 3],
        "difficulty": 1.0 + i % 5,
        "annotator": ["dr-a", "dr-b"][i % 2],
        "prompt": f"Question {i}: which dose of ramipril suits a patient of {40 + i} with an eGFR of {90 - i % 60}?",
        "response": (response * (LENGTH // len(response) + 1))[: max(LENGTH, 20)],
        "reasoning": f"The eGFR is {90 - i % 60}. Ramipril is cleared by the kidney, so start low and go slow." if i % 4 else None,
    }
    system = {"role": "system", "content": "You are a careful clinical assistant. " * (20 if i % 7 == 0 else 1)}
    row["messages"] = [system, {"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["response"]}]
    if i == 1:
        row |= {"response": HOSTILE, "category": '<img src="http://evil.example/d.png">', "annotator": "\u202egnp.exe"}
    if i == 2:
        row["response"] = '{"dose": {"mg": 1.250, "id": 9007199254740993}, "notes": ["with food", "recheck"], "empty": {}}'
    if i == 3:
        row["response"] = LONG[:150_000]
    if i == 4:
        row["messages"] += [{"role": "user", "content": "And with food?"}, {"role": "assistant", "content": "x"}]
        row["response"] = "Yes, food makes no difference."
    return shown(row)


@st.cache_resource
def opened():
    store = open_store(FOLDER)
    if not samples(store):
        ids = [f"{i:016x}-1" for i in range(COUNT + 20)]
        draw = draw_random(ids[:COUNT], COUNT, 7)
        add_sample(store, draw, name="Audit of 50", role="training", dataset_digest="d", by="Ada")
    return store


def rows(ids):
    return {one: record(int(one[:16], 16)) for one in ids}


st.set_page_config(layout="wide")
st.title("Audit")
store = opened()
sample = samples(store)[0]
records = sorted(sample_records(store, sample.id), key=lambda r: r.record_id)
who = st.query_params.get("who", "Ada")


def save(items):
    time.sleep(float(os.environ.get("REVIEW_SPEED", "0")))
    saver = save_outbox(store, sample, who)
    if (FOLDER / "broken").exists():
        from pages.ui.reviewer import Saved

        try:
            raise WorkspaceError("Nothing was saved: the disk that holds reviews.sqlite is full. Free some space.")
        except WorkspaceError as error:
            return Saved(problem=str(error))
    return saver(items)


@st.fragment
def reading():
    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    standings = current_verdicts(store, sample.id, who)
    ordered = [r for r in records]
    reviewer(sample, renumbered(ordered), rows, who=who, standings=standings, on_outbox=save, key="audit.reviewer")
    st.text(f"{len(standings)} in the database, fragment run {st.session_state['runs']}")


def renumbered(ordered):
    from dataclasses import replace

    return [replace(r, position=i) for i, r in enumerate(ordered)]


reading()
assert save_verdicts
