"""A learner for a first answer in about a minute: a head on frozen prompt embeddings that predicts the words of the response.

log p(word | prompt) = log softmax(b + W x): x the prompt's embedding, W starts at 0, b at the logarithm of the words' shares in the
training responses; a Gaussian prior holds both at that start, as a proper fit of few records needs. The loss of a record is the mean
of -log p over the words of its response, order ignored: nats a word. It sees which words belong to which prompts and nothing of
grammar or of truth.
"""

import re
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from core.errors import InputError
from core.influence.proof.learners import Fit, batches, check_rows, rate
from core.progress import Progress, silent
from core.workspace import digest_of

VERSION = 1
WORD = re.compile(r"\w+", re.UNICODE)
VOCABULARY, BATCH, RATE = 1024, 32, 1e-3
PRIOR = 5.0  # weight of the start, in records: the fewer records, the more the head stays there
OTHER = 0  # the entry of all words beyond the vocabulary


class Head:
    """The learner. `vectors` (N, d) and `responses` (N) are the training records', `check_*` the validation set's."""

    name = "head"
    batch = BATCH

    def __init__(
        self, vectors: np.ndarray, responses: Sequence[str], check_vectors: np.ndarray, check_responses: Sequence[str],
        forbidden: np.ndarray, vocabulary: int = VOCABULARY,
    ) -> None:  # fmt: skip
        words = [Counter(w.lower() for w in WORD.findall(text or "")) for text in responses]
        checks = [Counter(w.lower() for w in WORD.findall(text or "")) for text in check_responses]
        total: Counter[str] = Counter()
        for row, one in enumerate(words):
            if not forbidden[row]:
                total.update(one)
        known = sorted(total, key=lambda w: (-total[w], w))[: vocabulary - 1]
        place = {w: i + 1 for i, w in enumerate(known)}
        self.size = len(known) + 1
        scale = float(np.sqrt(vectors.shape[1]))  # unit rows: entries of about 1
        self.x, self.y = np.asarray(vectors, np.float32) * scale, [_shares(one, place) for one in words]
        self.able = np.array([bool(len(one[0])) for one in self.y]) & np.any(self.x != 0, axis=1)
        self.forbidden = np.asarray(forbidden, bool)
        counts = np.bincount([place.get(w, OTHER) for w in total.elements()], minlength=self.size) + 1.0
        self.bias = np.log(counts / counts.sum()).astype(np.float32)
        check = [_shares(one, place) for one in checks]
        seen = np.array([bool(len(c[0])) for c in check]) & np.any(np.asarray(check_vectors) != 0, axis=1)
        if not seen.any():
            raise InputError(
                "No validation record has both a vector and a response, so no loss can be measured. Import another set."
            )
        rows = np.flatnonzero(seen)
        self.check_x = np.asarray(check_vectors, np.float32)[rows] * scale
        self.check_y = self._dense([check[r] for r in rows])
        self.sentence = (
            f"A head on frozen embeddings: it learns which of {self.size:,} words a response has, given the prompt's embedding, from "
            f"a start that knows only how common each word is. Loss: nats a word over {len(rows):,} validation responses. A quick "
            "stand-in for fine-tuning; it sees neither grammar nor truth."
        )
        self.identity = digest_of(
            "head", str(VERSION), str((BATCH, RATE, PRIOR, self.size)), *known, str(self.bias.sum()),
            self.check_x.tobytes().hex()[:100_000], str(float(self.check_y.sum())), str(float(np.abs(self.x).sum())),
        )  # fmt: skip

    def _dense(self, shares: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        out = np.zeros((len(shares), self.size), np.float32)
        for row, (places, values) in enumerate(shares):
            out[row, places] = values
        return out

    def _loss(self, weight, bias) -> float:
        import torch

        with torch.no_grad():
            logs = torch.log_softmax(torch.addmm(bias, torch.from_numpy(self.check_x), weight), 1)
            return float(-(torch.from_numpy(self.check_y) * logs).sum(1).double().mean())

    def fit(self, rows: np.ndarray, seed: int, steps: int, progress: Progress = silent) -> Fit:
        """Adam from the common start on loss + PRIOR / (2 n) |W|^2; the seed orders the records, nothing else is by chance."""
        import torch

        rows = check_rows(self, rows)
        began = time.perf_counter()
        weight = torch.zeros(self.x.shape[1], self.size, requires_grad=True)
        bias = torch.from_numpy(self.bias.copy()).requires_grad_(True)
        common, pull = torch.from_numpy(self.bias), PRIOR / len(rows)
        optimizer = torch.optim.Adam([weight, bias], lr=RATE)
        start = self._loss(weight, bias)
        for step, batch in enumerate(batches(rows, BATCH, steps, seed)):
            for group in optimizer.param_groups:
                group["lr"] = rate(RATE, step, steps)
            logs = torch.log_softmax(torch.addmm(bias, torch.from_numpy(self.x[batch]), weight), 1)
            loss = -(torch.from_numpy(self._dense([self.y[r] for r in batch])) * logs).sum(1).mean()
            loss = loss + pull / 2 * (weight.square().sum() + (bias - common).square().sum())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            progress(step + 1, steps, "")
        return Fit(self._loss(weight, bias), start, steps, time.perf_counter() - began)


def _shares(words: Counter, place: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """(entries, share of the response's words that each is)"""
    found: Counter[int] = Counter()
    for word, n in words.items():
        found[place.get(word, OTHER)] += n
    places = np.array(sorted(found), np.int64)
    values = np.array([found[p] for p in places], np.float32)
    return places, values / max(1.0, float(values.sum()))
