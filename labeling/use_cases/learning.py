"""A small classifier of use cases: TF-IDF of words and pairs of words, logistic regression. Pure: texts in, arrays out.

scikit-learn is loaded when something is computed, by workers alone. A model is kept as arrays (NumPy's npz without
pickle): the terms and their inverse document frequencies, one row of coefficients and an intercept for each use case.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FORMAT = 1
FOLDS = 5
MOST_TERMS = 20_000
CHARACTERS = 4000  # of the last message, which says what is wanted
SEED = 20221127
SMALLEST = 1e-9  # of a probability


@dataclass(frozen=True)
class Model:
    """`coefficients` (C, V) and `intercepts` (C,) in natural log odds over the TF-IDF of `terms` (V)."""

    use_cases: list[str]
    terms: list[str]
    idf: np.ndarray  # (V,)
    coefficients: np.ndarray
    intercepts: np.ndarray

    def predict(self, texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
        """(use case, its probability) of each text."""
        log_odds = np.asarray(self._vectoriser().transform(texts) @ self.coefficients.T) + self.intercepts  # (N, C)
        log_odds -= log_odds.max(1, keepdims=True)
        likely = np.exp(log_odds)
        likely /= likely.sum(1, keepdims=True)
        best = likely.argmax(1)
        return [self.use_cases[each] for each in best], np.clip(likely[np.arange(len(best)), best], SMALLEST, 1)

    def _vectoriser(self):
        made = vectoriser(vocabulary=self.terms)
        made.idf_ = self.idf
        return made

    def as_bytes(self) -> bytes:
        head = {"format": FORMAT, "use_cases": self.use_cases, "terms": self.terms}
        kept = io.BytesIO()
        np.savez_compressed(
            kept,
            head=np.frombuffer(json.dumps(head).encode(), np.uint8),
            idf=self.idf.astype(np.float32),
            coefficients=self.coefficients.astype(np.float32),
            intercepts=self.intercepts.astype(np.float32),
        )
        return kept.getvalue()

    @classmethod
    def from_bytes(cls, kept: bytes) -> Model:
        """ValueError for what `as_bytes` never wrote, such as a pickle."""
        with np.load(io.BytesIO(kept), allow_pickle=False) as arrays:
            head = json.loads(arrays["head"].tobytes())
            if head["format"] != FORMAT:
                raise ValueError(f"a classifier of format {head['format']}; this version reads {FORMAT}")
            return cls(
                head["use_cases"],
                head["terms"],
                *(arrays[name].astype(float) for name in ("idf", "coefficients", "intercepts")),
            )


def vectoriser(**more: Any):
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|\?", **more)


def text_of(messages: Sequence[dict[str, str]]) -> str:
    """What is told of a prompt: the beginning and end of its last message, and whether there was a conversation."""
    last = messages[-1]["content"]
    if len(last) > CHARACTERS:
        last = f"{last[: CHARACTERS // 2]}\n{last[-CHARACTERS // 2 :]}"
    marks = "kwise_conversation " if len(messages) > 1 else ""
    return f"{marks}{'kwise_long ' if len(last) > 600 else ''}{last}"


def fit(texts: Sequence[str], use_cases: Sequence[str]) -> Model:
    """Of at least two use cases. The same data give the same model."""
    from sklearn.linear_model import LogisticRegression

    vectors = vectoriser(max_features=MOST_TERMS, min_df=2 if len(texts) >= 100 else 1)
    inputs = vectors.fit_transform(texts)
    learnt = LogisticRegression(C=10.0, max_iter=500).fit(inputs, use_cases)
    coefficients, intercepts = learnt.coef_, learnt.intercept_
    if len(learnt.classes_) == 2:  # one row stands for both
        coefficients = np.vstack([-coefficients / 2, coefficients / 2])
        intercepts = np.concatenate([-intercepts / 2, intercepts / 2])
    terms = list(vectors.get_feature_names_out())
    return Model([str(name) for name in learnt.classes_], terms, vectors.idf_, coefficients, intercepts)


@dataclass(frozen=True)
class Measured:
    """Of `count` texts, each told by a model that had not seen it."""

    count: int
    right: int
    right_majority: int  # by the most frequent use case of what that model had seen
    chance: float
    by_use_case: dict[str, dict[str, float | int | None]]


def cross_validate(texts: Sequence[str], use_cases: Sequence[str], counted: Sequence[bool]) -> Measured:
    """FOLDS models, each without a part in which use cases come as often as in all. Texts that are not `counted` teach
    and are not told."""
    order = np.random.default_rng(SEED).permutation(len(texts))
    order = sorted(order, key=lambda at: use_cases[at])  # stable: a shuffle inside each use case
    fold = np.empty(len(texts), int)
    fold[order] = np.arange(len(texts)) % FOLDS
    told: dict[int, str] = {}
    right_majority = 0
    for number in range(FOLDS):
        seen = np.flatnonzero(fold != number)
        asked = [at for at in np.flatnonzero(fold == number) if counted[at]]
        names = [use_cases[at] for at in seen]
        if not asked:
            continue
        usual = Counter(names).most_common(1)[0][0]
        right_majority += sum(use_cases[at] == usual for at in asked)
        if len(set(names)) < 2:
            told |= dict.fromkeys(asked, usual)
            continue
        model = fit([texts[at] for at in seen], names)
        told |= dict(zip(asked, model.predict([texts[at] for at in asked])[0], strict=True))
    said = Counter(use_cases[at] for at in told)
    by_use_case = {}
    for name, count in sorted(said.items()):
        hit = sum(word == name == use_cases[at] for at, word in told.items())
        guessed = sum(word == name for word in told.values())
        by_use_case[name] = {
            "prompts": count,
            "precision": hit / guessed if guessed else None,
            "recall": hit / count,
        }
    return Measured(
        count=len(told),
        right=sum(word == use_cases[at] for at, word in told.items()),
        right_majority=right_majority,
        chance=sum((count / len(told)) ** 2 for count in said.values()) if told else 0.0,
        by_use_case=by_use_case,
    )


def hash_of(digests: Sequence[str], use_cases: Sequence[str]) -> str:
    """SHA-256 of the training data: lines of a prompt's digest and its use case."""
    lines = (f"{digest} {use_case}\n" for digest, use_case in zip(digests, use_cases, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
