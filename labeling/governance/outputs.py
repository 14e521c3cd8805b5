"""What people and models wrote, looked at before it leaves: completions, answers, notes, and other free text.

Nobody reviews these one by one, so "hold" leaves out as "drop" does. Words that were redacted in the prompt are
redacted in what was written about it, by the same placeholders, whatever the detector says of them.

An export asks an `OutputGate` about its texts, many at a time. What the detector found in a text is kept by the text's
SHA-256 (`OutputScan`), so that the next export asks the database in place of the detector.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from labeling.governance import personal_data, policies, redaction
from labeling.governance.models import DetectorVersion, Original, OutputScan
from labeling.governance.policies import ALLOW, REDACT, Rules
from labeling.governance.redaction import Replaced

# Texts whose findings are remembered in memory: a completion comes back with each labeler that ranked it.
REMEMBERED = 50_000
REASON = "personal_data"


@dataclass(frozen=True)
class Known:
    """What was redacted in a prompt: {normal form of the words: (kind, placeholder)}."""

    words: Mapping[str, tuple[str, str]]


NOTHING = Known({})


class OutputGate:
    """Decides about texts by the policy in force and the detector of this process.

    `counts` has what was left out and what was redacted, by reason: "personal_data:email", "redacted:person_name".
    Reads the database alone, so it can be used in a read-only snapshot; `remember`, after that, writes what was new.
    """

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or policies.current_rules()
        self.counts: Counter[str] = Counter()
        running = personal_data.detector()
        self.detector = DetectorVersion.objects.filter(
            name=running.name, version=running.version, configuration=running.configuration
        ).first()
        self._found: dict[bytes, list[list]] = {}
        self._new: dict[bytes, list[list]] = {}

    def look(self, texts: Iterable[str]) -> None:
        """Make the findings of many texts known, by one query and one run of the detector: saves time, no more."""
        self._look({_digest(text): text for text in texts})

    def _look(self, texts: Mapping[bytes, str]) -> None:
        wanted = {digest: text for digest, text in texts.items() if digest not in self._found}
        if len(self._found) + len(wanted) > REMEMBERED:
            self._found = {}
        if not wanted:
            return
        if self.detector is not None:
            with connection.cursor() as cursor:
                # In SQL: thousands of values a time, each of which the ORM would take apart.
                cursor.execute(
                    f"SELECT text_sha256, spans::text FROM {OutputScan._meta.db_table} "
                    "WHERE detector_id = %s AND text_sha256 = ANY(%s)",
                    [self.detector.pk, list(wanted)],
                )
                for digest, spans in cursor.fetchall():
                    self._found[bytes(digest)] = [] if spans == "[]" else json.loads(spans)
                    wanted.pop(bytes(digest), None)
        for (digest, _text), spans in zip(wanted.items(), personal_data.find_many(wanted.values()), strict=True):
            self._found[digest] = self._new[digest] = [[span.start, span.end, span.kind, span.score] for span in spans]

    def pass_texts(self, texts: Sequence[str], *, split: str, known: Known = NOTHING) -> list[str] | None:
        """The texts as they may leave, redacted where the policy says so; None where one of them may not, and so none.

        They belong together (the turns of a dialogue): the same words get the same placeholder in all of them.
        """
        digests = [_digest(text) for text in texts]
        self._look(dict(zip(digests, texts, strict=True)))
        found = [self._found[digest] for digest in digests]
        return self._decide(texts, found, split, known)

    def pass_each(self, texts: Sequence[tuple[str, str, Known]]) -> list[str | None]:
        """Of many (text, split, known words) each by itself as it may leave, or None: one look for all of them."""
        digests = [_digest(text) for text, _split, _known in texts]
        self._look({digest: text for digest, (text, _split, _known) in zip(digests, texts, strict=True)})
        passed: list[str | None] = []
        for digest, (text, split, known) in zip(digests, texts, strict=True):
            found = self._found[digest]
            if found or known.words:
                decided = self._decide([text], [found], split, known)
                passed.append(decided[0] if decided is not None else None)
            else:
                passed.append(text)
        return passed

    def _decide(self, texts: Sequence[str], found: Sequence[list[list]], split: str, known: Known) -> list[str] | None:
        messages = [{"content": text} for text in texts]
        spans, refused = [], set()
        for index, text in enumerate(texts):
            for start, end, kind, score in found[index]:
                if not self.rules.counts(score):
                    continue
                form = redaction.normal(text[start:end])
                action = REDACT if form in known.words else self.rules.action(split=split, kind=kind)
                if action == REDACT:
                    spans.append((index, start, end, kind))
                elif action != ALLOW:
                    refused.add(kind)
        if refused:
            self.counts.update(f"{REASON}:{kind}" for kind in refused)
            return None
        spans += [
            (index, start, end, known.words[form][0])
            for index, start, end, form in redaction.places_of(texts, known.words)
            if form in known.words
        ]
        if not spans:
            return list(texts)
        made, replaced = redaction.redact(messages, spans, known=known.words)
        self.counts.update(f"redacted:{kind}" for kind in {each.kind for each in replaced})
        return [message["content"] for message in made]

    def pass_text(self, text: str, *, split: str, known: Known = NOTHING) -> str | None:
        """One text as it may leave, or None."""
        passed = self.pass_texts([text], split=split, known=known)
        return passed[0] if passed is not None else None

    @property
    def unremembered(self) -> int:
        """Texts that the detector looked at and nobody has kept: what memory grows by."""
        return len(self._new)

    def remember(self) -> int:
        """Keep what was found in texts that were new, for the next export; how many. Not inside the snapshot."""
        if not self._new:
            return 0
        running = personal_data.detector()
        detector, _made = DetectorVersion.objects.get_or_create(
            name=running.name, version=running.version, configuration=running.configuration
        )
        rows = [OutputScan(detector=detector, text_sha256=digest, spans=spans) for digest, spans in self._new.items()]
        OutputScan.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)
        self._new = {}
        return len(rows)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def known_words(prompts: Iterable[uuid.UUID | str]) -> dict[uuid.UUID | str, Known]:
    """Of those of the prompts that are redacted, what was: for `pass_texts`. By id, as a UUID and as text."""
    with connection.cursor() as cursor:
        # Few are: which ones, without an ORM's care for each of the others.
        table = Original._meta.db_table
        cursor.execute(
            f"SELECT prompt_id FROM {table} WHERE prompt_id = ANY(%s::uuid[])", [list(map(str, set(prompts)))]
        )
        redacted = [prompt for (prompt,) in cursor.fetchall()]
    known: dict[uuid.UUID | str, Known] = {}
    for original in Original.objects.filter(pk__in=redacted) if redacted else ():
        words = Known(redaction.words_of(original.messages, [Replaced(**each) for each in original.replaced]))
        known[original.pk] = known[str(original.pk)] = words
    return known


def scan_outputs(texts: Sequence[str], *, split: str, known: Known = NOTHING) -> list[str | None]:
    """Each text by itself as it may leave in `split`, or None: for a caller with a handful."""
    gate = OutputGate()
    gate.look(texts)
    return [gate.pass_text(text, split=split, known=known) for text in texts]


def policy_in_words(rules: Rules | None = None) -> dict[str, Any]:
    """For a manifest: which detector looked, in which configuration, and what followed from what it found."""
    return {
        "detector": personal_data.detector().as_json(),
        "policy": (rules or policies.current_rules()).as_json(),
    }
