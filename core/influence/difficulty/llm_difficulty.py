"""The step `llm_difficulty`: knowledge, reasoning and overall difficulty 1..5 as a language model rates them.

Nothing is sent without consent: the parameter `consent` must be the very sentence that `estimate` gives for these records and this
host. Every good answer is kept at once, under the record's text, the prompt version, the model and the host, outside the result: a
cancelled, killed or repeated run asks only for what is missing.
"""

import json
import os
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import InputError, MissingInput
from core.influence.chat import STYLES, Endpoint, Refused, Unreachable, ask, endpoint
from core.influence.difficulty import rater
from core.workspace import Dataset, Inputs, Output, digest_of

DEFAULTS: dict[str, Any] = {
    "url": "",  # up to and with /v1, e.g. http://localhost:11434/v1
    "model": "",
    "key_variable": "",  # name of the environment variable with the key; "" for a local server
    "consent": "",  # the sentence of `estimate(...).consent`
    "records": 0,  # rate so many drawn by chance; 0 = all
    "seed": 0,
    "most_characters": 8000,  # of a record that are sent; longer ones are cut in the middle
    "most_tokens": 400,  # of an answer
    "at_once": 4,  # requests under way at the same time
    "timeout": 60,
    "attempt": 1,  # raise it to ask again for records that failed
}
TRIES = 3  # answers that cannot be read, of one record
WAITS = 6  # of one record, for a server that is busy or not there
LONGEST_WAIT = 60.0
DOWN_AFTER = 8  # records in a row that failed for want of a server, after which the run stops
BACKOFF = 1.0  # seconds before the second try; doubled for each further one
COUNTED = ("requests", "waits", "unreadable", "tokens_in", "tokens_out")
STOP = (401, 402, 403, 404)  # of these no further record can fare better


def fingerprint(params: Mapping[str, Any]) -> str:
    """MissingInput where no endpoint is named: the step then counts as one that cannot run."""
    if not params["url"] or not params["model"]:
        raise MissingInput(
            "No language model is named to rate with. Give the address of its endpoint and the name of the model."
        )
    return rater.PROMPT_VERSION


@dataclass(frozen=True)
class Estimate:
    """What a run would send; tokens are estimates of what is read and written (`core.influence.difficulty.rater.tokens`)."""

    records: int  # that would be sent now
    known: int  # already answered, not sent again
    tokens_in: int
    tokens_out: int
    cut: int  # records too long to be sent whole
    host: str
    model: str
    tokens_of_all: int  # of the records to be sent and of those already answered

    @property
    def consent(self) -> str:
        """The words that allow it; the same before and after an interruption."""
        return f"Send {self.records + self.known:,} records, about {self.tokens_of_all:,} tokens, to {self.host} (model {self.model})"

    def cost(self, price_in: float, price_out: float) -> float:
        """In the currency of the prices, which are for a million tokens."""
        return (self.tokens_in * price_in + self.tokens_out * price_out) / 1e6


def chosen(count: int, records: int, seed: int) -> np.ndarray:
    """Rows to rate, ascending: all, or so many by chance."""
    if records <= 0 or records >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).permutation(count)[:records])


def texts(data: Dataset, rows: np.ndarray, most: int) -> list[str]:
    found = data.table(["prompt", "response"]).take(pa.array(rows))
    pairs = zip(*(pc.fill_null(found[name], "").to_pylist() for name in ("prompt", "response")), strict=True)
    return [rater.quoted(prompt, response, most) for prompt, response in pairs]


def estimate(data: Dataset, params: Mapping[str, Any], kept: Path | None) -> Estimate:
    """What a run with these parameters would send. Errors: as `chat.endpoint`."""
    to = endpoint(params["url"], params["model"], params["key_variable"], params["timeout"])
    sent = texts(data, chosen(data.count, params["records"], params["seed"]), params["most_characters"])
    known = Answers(kept, to).found
    left = [text for text in sent if digest_of(text) not in known]
    return Estimate(
        len(left), len(sent) - len(left), sum(map(rater.tokens, left)) + rater.overhead() * len(left),
        rater.ANSWER_TOKENS * len(left), sum("characters left out here" in t for t in left), to.host, to.model,
        sum(map(rater.tokens, sent)) + rater.overhead() * len(sent),
    )  # fmt: skip


class Answers:
    """Good answers by digest of the text sent, one JSON line each, appended and flushed to disk as they come."""

    def __init__(self, folder: Path | None, to: Endpoint) -> None:
        name = digest_of(to.host, to.model, rater.PROMPT_VERSION)[:16]
        self.path = folder / f"answers-{name}.jsonl" if folder else None
        self.lock, self.found = threading.Lock(), {}
        if self.path and self.path.is_file():
            for line in self.path.read_text("utf-8", "replace").splitlines():
                try:
                    row = json.loads(line)
                    self.found[row["text"]] = rater.read_answer(json.dumps(row["answer"]))
                except (ValueError, KeyError, TypeError):
                    continue  # the line a kill broke off

    def keep(self, text: str, answer: dict[str, int], facts: Mapping[str, Any]) -> None:
        line = json.dumps({"text": text, "answer": answer, **facts}, ensure_ascii=False)
        with self.lock:
            self.found[text] = answer
            if self.path is None:
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as stream:
                if stream.seek(0, os.SEEK_END):
                    stream.seek(-1, os.SEEK_END)
                    if stream.read(1) != b"\n":
                        stream.write(b"\n")
                stream.write(line.encode("utf-8") + b"\n")
                stream.flush()
                os.fsync(stream.fileno())


class Fatal(Exception):
    """The server will refuse every record: asking on would be of no use."""


class Asker:
    """Asks for one record until its answer can be read or its tries are used up. Safe to use from several threads.

    `messages` makes what is posted of a text, `read` the answer of what was said (ValueError: not readable), `schema` describes it.
    """

    def __init__(
        self, to: Endpoint, most_tokens: int, stop: threading.Event, messages: Callable = rater.messages,
        schema: Mapping[str, Any] = rater.SCHEMA, read: Callable[[str], Any] = rater.read_answer,
    ) -> None:  # fmt: skip
        self.to, self.most_tokens, self.stop = to, most_tokens, stop
        self.messages, self.schema, self.read = messages, schema, read
        self.style, self.counts, self.lock = 0, Counter(), threading.Lock()

    def count(self, **numbers: int) -> None:
        with self.lock:
            self.counts.update(numbers)

    def answer(self, text: str) -> Any:
        """What `read` makes of the answer.

        Errors: Fatal; Unreachable or Refused after the last wait; ValueError after the last unreadable answer.
        """
        unread = waited = 0
        style = self.style
        while True:
            self.count(requests=1)
            try:
                said, read, written = ask(self.to, self.messages(text), self.schema, STYLES[style], self.most_tokens)
            except Refused as error:
                if error.status in STOP:
                    raise Fatal(str(error)) from error
                if error.status in (400, 422) and style + 1 < len(STYLES):
                    style += 1
                    continue
                if error.status not in (408, 409, 425, 429) and error.status < 500:
                    raise
                waited += 1
                if waited >= WAITS:
                    raise
                self._wait(waited, error.after)
                continue
            except Unreachable:
                waited += 1
                if waited >= min(WAITS, 3):
                    raise
                self._wait(waited, None)
                continue
            self.style = max(self.style, style)  # what this server took is asked first from now on
            self.count(tokens_in=read, tokens_out=written)
            try:
                return self.read(said)
            except ValueError:
                unread += 1
                self.count(unreadable=1)
                if unread >= TRIES:
                    raise

    def _wait(self, turn: int, after: float | None) -> None:
        seconds = min(LONGEST_WAIT, after if after is not None else BACKOFF * 2 ** (turn - 1))
        self.count(waits=1)
        if self.stop.wait(seconds * random.uniform(1.0, 1.25)):
            raise Unreachable("stopped")


def run(inputs: Inputs) -> Output:
    """table: record_id, knowledge, reasoning, overall (1..5; null where not asked or failed), failed (why, or null).

    Errors: MissingInput (no consent for these records and this host), InputError (the server refuses all, or is not there).
    """
    params, data, started = inputs.params, inputs.datasets["training"], time.monotonic()
    to = endpoint(params["url"], params["model"], params["key_variable"], params["timeout"])
    rows = chosen(data.count, int(params["records"]), int(params["seed"]))
    plan = estimate(data, params, inputs.kept)
    if plan.records and params["consent"] != plan.consent:
        raise MissingInput(
            f"Nothing was sent. To send {plan.records:,} records, about {plan.tokens_in:,} tokens, to {plan.host}, consent with the "
            f"words {plan.consent!r} (parameter llm_difficulty.consent)."
        )
    sent = texts(data, rows, params["most_characters"])
    answers, stop = Answers(inputs.kept, to), threading.Event()
    keys = [digest_of(text) for text in sent]
    todo = list({k: t for k, t in zip(keys, sent, strict=True) if k not in answers.found}.items())
    asker = Asker(to, int(params["most_tokens"]), stop)
    failed = _ask_all(todo, asker, answers, inputs, int(params["at_once"]))
    if todo and len(failed) == len(todo) and not any(k in answers.found for k in keys):
        reason, count = Counter(failed.values()).most_common(1)[0]
        raise InputError(
            f"None of {len(todo):,} records could be rated; {count:,} of them: {reason}. Check the model and its server."
        )
    found = [answers.found.get(k) for k in keys]
    columns = {name: np.full(data.count, np.nan) for name in rater.DIMENSIONS}
    why: list[str | None] = [None] * data.count
    for row, key, answer in zip(rows, keys, found, strict=True):
        for name in rater.DIMENSIONS:
            columns[name][row] = answer[name] if answer else np.nan
        if answer is None:
            why[row] = failed.get(key, "not asked")
    table = pa.table(
        {"record_id": data.ids()}
        | {name: pa.array(np.where(np.isnan(v), 0, v).astype(np.int8), mask=np.isnan(v)) for name, v in columns.items()}
        | {"failed": pa.array(why, pa.string())}
    )
    rated = sum(a is not None for a in found)
    warnings = []
    reasons = dict(Counter(failed.values()).most_common(10))
    if failed:
        said = "; ".join(f"{count:,} {reason}" for reason, count in reasons.items())
        warnings.append(
            f"{len(rows) - rated:,} of {len(rows):,} records could not be rated: {said}. They have no value."
        )
    if len(rows) < data.count:
        warnings.append(
            f"{len(rows):,} of {data.count:,} records were rated, drawn by chance (seed {params['seed']}); the others have no value."
        )
    if plan.cut:
        warnings.append(
            f"{plan.cut:,} records were longer than {params['most_characters']:,} characters and were cut in the middle."
        )
    info = {
        "model": to.model, "host": to.host, "prompt_version": rater.PROMPT_VERSION, "prompt": rater.SYSTEM, "rated": rated,
        "asked": len(todo), "known": len(rows) - len(todo), "failed": len(rows) - rated, "reasons": reasons,
        "way": STYLES[asker.style], **{k: int(asker.counts[k]) for k in COUNTED},
        "warnings": warnings, "seconds": round(time.monotonic() - started, 1), "note": f"rated by {to.model}",
    }  # fmt: skip
    return Output(table=table, info=info)


def _ask_all(
    todo: list[tuple[str, str]], asker: Asker, answers: Answers, inputs: Inputs, at_once: int
) -> dict[str, str]:
    """{key: why} of the records that failed. Answers under way when the run is stopped are still taken in: they are paid for."""
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for item in todo:
        waiting.put(item)
    failed: dict[str, str] = {}
    state = {"done": 0, "down": 0, "fatal": ""}

    def work() -> None:
        while not asker.stop.is_set():
            try:
                key, text = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                answer = asker.answer(text)
                answers.keep(key, answer, {"model": asker.to.model, "prompt": rater.PROMPT_VERSION})
                state["down"] = 0
            except Fatal as error:
                state["fatal"] = str(error)
                asker.stop.set()
                return
            except (Unreachable, Refused) as error:
                if asker.stop.is_set():
                    return
                failed[key] = str(error)
                state["down"] += 1
                if state["down"] >= DOWN_AFTER:
                    state["fatal"] = f"{state['down']} records in a row failed, the last one with: {error}"
                    asker.stop.set()
            except ValueError as error:
                failed[key] = f"the answer is {error}" if "answer" not in str(error) else str(error)
                state["down"] = 0
            except OSError as error:
                state["fatal"] = f"an answer could not be kept: {error}"
                asker.stop.set()
            state["done"] += 1

    threads = [threading.Thread(target=work, daemon=True) for _ in range(max(1, min(at_once, 64, len(todo))))]
    began = time.monotonic()
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            threads[0].join(0.1) if threads[0].is_alive() else time.sleep(0.05)
            rate = state["done"] / max(time.monotonic() - began, 1e-6)
            left = f", {(len(todo) - state['done']) / rate:,.0f} s left" if rate else ""
            inputs.progress(
                state["done"],
                max(1, len(todo)),
                f"{state['done']:,} of {len(todo):,} asked, {len(failed):,} failed{left}",
            )
    finally:
        asker.stop.set()
        for thread in threads:
            if thread.ident:
                thread.join(asker.to.timeout + 5)
    if state["fatal"]:
        raise InputError(
            f"{asker.to.host} stopped the rating: {state['fatal'][:250]}. "
            f"{len(answers.found):,} answers are kept. Run it again when it is mended."
        )
    return failed
