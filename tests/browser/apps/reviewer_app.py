"""The reviewer alone, over records made here, for the browser tests and the benchmark.

Query: dir = folder of the database (or REVIEW_DIR), count = records (50), text = characters of each response (400), speed =
seconds that each save takes on top (0), who = the reviewer, rubric = the id of a ready one or `edited` (audit), read = so many records
that have a verdict already. A file `broken` in the folder makes every save fail.
"""

import os
import time
from dataclasses import replace
from pathlib import Path

import streamlit as st

from core.review.rubric_store import store_rubric
from core.review.rubrics import checked, ready
from core.review.sampling import draw_random
from core.review.store import Verdict, add_sample, current_verdicts, open_store, sample_records, samples, save_verdicts
from pages.ui.reviewer import Saved, reviewer, save_outbox, shown

ask = st.query_params
FOLDER = Path(ask.get("dir") or os.environ["REVIEW_DIR"])
COUNT = int(ask.get("count", "50"))
LENGTH = int(ask.get("text", "400"))
HOSTILE = (
    '<img src="http://evil.example/a.png" onerror="fetch(\'http://evil.example\')"><script>document.title="pwned"</script>\n'
    "![pic](http://evil.example/b.png) [x](javascript:alert(1)) $\\href{javascript:alert(1)}{x}$\n"
    "<style>*{background:url(http://evil.example/c)}</style>\n"
    "nul:\x00 bidi:\u202eabc\u202c zero:a\u200bb sep:a\u2028b bom:\ufeff joined emoji: 👩\u200d⚕️ persian: می\u200cخواهم"
)
MARKDOWN = """# Plan <img src=http://evil.example/h.png onerror=fetch('http://evil.example/x')>

Start **ramipril 1.25 mg**, *not* 10 mg; see `eGFR < 30`. Read [the guideline](http://evil.example/nice?a=1 "NICE") or
[this](javascript:alert(1)), <http://evil.example/auto> and http://evil.example/bare.

1. Check potassium
   - after one week
   - then **monthly**
2. Stop if > 5.5

> Call a doctor when the lips swell.
> <script>document.title="pwned"</script>

| drug | dose |
|:-----|----:|
| ramipril ![x](http://evil.example/cell.png) | 1.25 mg |
| a\\|b | <b>2</b> |

```html
<style>*{background:url(http://evil.example/c)}</style> ![no](http://evil.example/code.png)
```
![pic](http://evil.example/b.png) $\\href{javascript:alert(1)}{x}$ zero:a\u200bb
<form action="http://evil.example/f"><input></form><iframe src="http://evil.example/i"></iframe><svg onload=alert(1)>
"""
HUGE = "0123456789" * 1_000_000
LONG = "A very long answer about fluid balance. " * 5000


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
        "reasoning": f"The eGFR is {90 - i % 60}. Ramipril is cleared by the kidney, so start low and go slow."
        if i % 4
        else None,
    }
    system = {"role": "system", "content": "You are a careful clinical assistant. " * (20 if i % 7 == 0 else 1)}
    row["messages"] = [
        system,
        {"role": "user", "content": row["prompt"]},
        {"role": "assistant", "content": row["response"]},
    ]
    if i == 1:
        row |= {"response": HOSTILE, "category": '<img src="http://evil.example/d.png">', "annotator": "\u202egnp.exe"}
    if i == 2:
        row["response"] = (
            '{"dose": {"mg": 1.250, "id": 9007199254740993}, "notes": ["with food", "recheck"], "empty": {}}'
        )
    if i == 3:
        row["response"] = LONG[:150_000]
    if i == 9:
        row |= {"response": MARKDOWN, "reasoning": None}
    if i == 7 and "huge" in ask:
        row["response"] = HUGE
    if i == 4:
        row["messages"] += [{"role": "user", "content": "And with food?"}, {"role": "assistant", "content": "x"}]
        row["response"] = "Yes, food makes no difference."
    return shown(row)


@st.cache_resource
def opened(folder: str, count: int):
    (Path(folder) / "server.pid").write_text(str(os.getpid()))
    store = open_store(folder)
    if not samples(store):
        draw = draw_random([f"{i:016x}-1" for i in range(count)], count, 7)
        in_order = replace(draw, record_ids=sorted(draw.record_ids))
        made = add_sample(store, in_order, name="Audit", role="training", dataset_digest="d", by="Ada")
        first = sample_records(store, made.id)[: int(ask.get("read", "0"))]
        given = [Verdict(f"read-{r.position}", made.id, r.record_id, r.record_digest, "Ada", "pass") for r in first]
        save_verdicts(store, given)
    return store


def rows(ids):
    return {one: record(int(one[:16], 16)) for one in ids}


st.set_page_config(layout="wide")
st.title("Audit")
store = opened(str(FOLDER), COUNT)
sample = samples(store)[0]
who = ask.get("who", "Ada")
RUBRIC = ready().get(ask.get("rubric", "audit"))
if RUBRIC is None:
    RUBRIC = checked(
        {**ready()["audit"].data, "title": "Edited", "criteria": ready()["audit"].data["criteria"][:2]}, "edited"
    )


def about(ids):
    """Every even record has a neighbour and a place."""
    place = [
        ("cluster", "Ramipril <img src=http://evil.example/k>"),
        ("quadrant", "hard, helpful"),
        ("influence", "0.12"),
    ]
    return {one: {"facts": place, "near": "1 near-duplicate" if int(one[:16], 16) % 2 == 0 else None} for one in ids}


def near(record_id):
    from pages.ui.diff.words import pieces

    mine = record(int(record_id[:16], 16))["turns"][-1]["text"]
    a, b, note = pieces(mine[:5000], mine[:5000].replace("1.25 mg", "12.5 mg <img src=http://evil.example/n>"))
    return [
        {
            "title": "Near-duplicate, similarity 0.97",
            "facts": "line 9",
            "parts": [{"name": "response", "note": note, "sides": [a, b]}],
        }
    ]


def save(items):
    time.sleep(float(ask.get("speed", "0")))
    if (FOLDER / "broken").exists():
        return Saved(problem="Nothing was saved: the disk that holds reviews.sqlite is full. Free some space.")
    store_rubric(store, RUBRIC)
    return save_outbox(store, sample, who)(items)


@st.fragment
def reading():
    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    standings = current_verdicts(store, sample.id, who)
    records = sample_records(store, sample.id)
    reviewer(
        sample, records, rows, who=who, standings=standings, on_outbox=save, key="audit.reviewer", rubric=RUBRIC, about=about, 
        near=near,
    )  # fmt: skip
    st.text(f"{len(standings)} in the database, fragment run {st.session_state['runs']}")


reading()
