"""What the manifest and the data card say of a data set beyond its rows.

The card follows the questions of Datasheets for Datasets (Gebru et al. 2021) and has the tables that InstructGPT's
appendix has of its data: sizes, sources, shares of use cases, lengths, agreement, and who the labelers are in totals.
It is for people who will train on the files for years and know nothing of this installation.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from django.db import connection
from django.utils import translation

from labeling.exports.lines import Tally, pseudonym
from labeling.governance.outputs import OutputGate, policy_in_words
from labeling.intake.models import UseCase
from labeling.surveys.models import SurveyRound
from labeling.surveys.queries import tables_of

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def about(tally: Tally, gate: OutputGate) -> dict[str, Any]:
    """What a manifest has besides counts: said inside the snapshot that the rows were read in."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT transaction_timestamp()")
        (moment,) = cursor.fetchone()
    return {
        "snapshot_at": moment.isoformat(timespec="microseconds"),
        "made_by": {name: version(name) for name in ("kwise", "zstandard", "pyarrow")},
        "personal_data": policy_in_words(gate.rules) | {"counts": dict(sorted(gate.counts.items()))},
        "labelers": dict(sorted((pseudonym(labeler), rows) for labeler, rows in tally.labelers.items())),
        "words_per_prompt": spread(tally.words),
        "agreement": {
            "rate": round(tally.alike / tally.compared, 4) if tally.compared else None,
            "pairs": tally.compared,
            "tasks": tally.tasks_compared,
        },
        "demographics": demographics(),
    }


def spread(counts: Mapping[int, int]) -> dict[str, float]:
    """Mean and quantiles of {value: how often}; empty where there is none."""
    total = sum(counts.values())
    if not total:
        return {}
    found: dict[str, float] = {"mean": round(sum(value * often for value, often in counts.items()) / total, 1)}
    ordered, passed, wanted = sorted(counts.items()), 0, list(QUANTILES)
    for value, often in ordered:
        passed += often
        while wanted and passed >= wanted[0] * total:
            found[f"p{round(wanted.pop(0) * 100)}"] = value
    found["most"] = ordered[-1][0]
    return found


def demographics() -> dict[str, Any] | None:
    """The newest report on who the team is, as its own page shows it: nothing that fewer people than its minimum said.
    It is of the team who answered the survey, not of the labelers of one data set: taking data sets apart would tell
    who said what."""
    held = (
        SurveyRound.objects.filter(report__withheld="", closed_at__isnull=False)
        .select_related("questionnaire")
        .order_by("-closed_at")
        .first()
    )
    if held is None:
        return None
    with translation.override("en"):
        tables = {
            table.label: {row.label: row.count for row in table.rows if row.count is not None}
            for table in tables_of(held)
        }
    return {"answered": held.report["answered"], "minimum": held.minimum, "tables": tables}


def data_card(manifest: dict[str, Any]) -> str:
    """README.md of a data set, in English as its keys are. No time of export: the same rows have the same card."""
    counts, question = manifest["counts"], manifest["question"]
    kind, rows = manifest["kind"], counts["rows"]
    parts = [
        "# Data card",
        f"A frozen data set of Kwise, kind *{kind}*, {rows:,} rows. Content hash `{manifest['content_hash']}`.",
        "## Motivation and composition",
        WHAT[kind],
        _table(("Split", "Rows"), counts.get("by_split", {}).items()),
        _sizes(counts),
        "### Sources",
        _shares("Source", counts.get("by_source", {}), rows),
        "### Use cases",
        _shares("Use case", {_use_case(name): count for name, count in counts.get("by_use_case", {}).items()}, rows),
    ]
    if counts.get("by_language"):
        parts += ["### Languages", _shares("Language", counts["by_language"], rows)]
    if words := manifest.get("words_per_prompt"):
        parts += [
            "### Words per prompt",
            "Of all messages of a prompt together, once for each row. An English word is about 1.3 tokens.",
            _table(("Figure", "Words"), words.items()),
        ]
    if counts.get("by_batch"):
        parts += ["### Batches", _shares("Batch", counts["by_batch"], rows)]
    parts += ["## Collection", "The question that was asked of the database:", _question(question)]
    if counts.get("by_group"):
        parts += ["### Labelers", _shares("Group", counts["by_group"], rows)]
        parts.append(
            f"{counts.get('labelers', 0)} people, each under a pseudonym that is the same in all data sets of this "
            "installation and cannot be turned back without its key."
        )
    agreement = manifest.get("agreement") or {}
    if agreement.get("pairs"):
        parts.append(
            f"Where several ranked the same completions they ordered {agreement['rate']:.1%} of the pairs alike that "
            f"neither tied ({agreement['pairs']:,} comparisons of two answers to {agreement['tasks']:,} tasks)."
        )
    team = manifest.get("demographics")
    if team:
        parts += [
            "### Who the team is",
            f"As {team['answered']} people said of themselves in the newest survey of the whole team. What fewer than "
            f"{team['minimum']} said is not shown.",
        ]
        parts += [
            part
            for name, table in team["tables"].items()
            for part in (f"**{_plain(name)}**", _table(("", "People"), table.items()))
        ]
    personal = manifest.get("personal_data") or {}
    parts += [
        "## Cleaning",
        "Left out, by the first reason that applies:"
        if manifest["exclusions"]
        else "Nothing that was asked for was left out.",
        _table(("Reason", "Count"), manifest["exclusions"].items()),
        "### Personal data",
    ]
    if personal:
        detector, policy = personal["detector"], personal["policy"]
        parts += [
            f"Every prompt, completion and answer was looked at by `{detector['name']}` {detector['version']} "
            f"(configuration `{detector['configuration'][:12]}`) under version {policy['number']} of the policy "
            f"(preset *{policy['preset']}*, findings from a score of {policy['hold_at']}). No detector "
            "finds everything.",
            _table(("What was done", "Texts"), personal["counts"].items()),
        ]
    parts += [
        "## Uses and limits",
        LIMITS[kind],
        "## Files",
        _table(
            ("File", "Rows", "Bytes", "SHA-256"),
            [(file["path"], file["rows"], file["bytes"], f"`{file['sha256']}`") for file in manifest["files"]],
        ),
        "The keys of each row are described in Kwise's `docs/formats.md`. `manage.py verify_dataset FOLDER` checks "
        "every file and the content hash.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


WHAT = {
    "comparisons": "Each row is one labeler's order, ties among them, of several completions of one prompt.",
    "evaluations": "Each row is one labeler's order of what several models answered, given to compare those models.",
    "demonstrations": "Each row is an answer that a person wrote to a prompt, or one turn of a dialogue.",
    "prompts": "Each row is a prompt that people wrote, without an answer.",
    "ratings": "Each row is what one labeler said of one completion by itself: a rating, flags, other values.",
}
RANKED = (
    "Rankings of one prompt, and pairs of one ranking, are not independent: split and shuffle by prompt. The "
    "judgements are of this team under its guidelines; others may differ."
)
LIMITS = {
    "comparisons": RANKED,
    "evaluations": RANKED + " Held-out labelers' answers are among them: train nothing on these rows.",
    "demonstrations": "The answers show what this team takes for good under its guidelines; nobody checked that they "
    "are true.",
    "prompts": "The prompts say what their writers asked for, not what should be answered.",
    "ratings": RANKED,
}


def _use_case(name: str) -> str:
    return str(UseCase(name).value) if name in UseCase.values else name or "(nobody said)"


def _sizes(counts: dict) -> str:
    sizes = {"Rows": counts["rows"]}
    if "pairs" in counts:
        sizes |= {"Pairs that are ordered": counts["pairs"], "Pairs that are tied": counts["tied_pairs"]}
    sizes |= {f"K = {k}": count for k, count in counts.get("by_k", {}).items()}
    sizes |= {f"Rankings {name}": count for name, count in counts.get("by_ties", {}).items()}
    return _table(("Size", ""), sizes.items())


def _question(question: dict) -> str:
    def said(value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(map(str, value)) or "all"
        return (
            {None: "any", True: "yes", False: "no"}.get(value, str(value))
            if not isinstance(value, float)
            else str(value)
        )

    return _table(("Asked for", ""), [(name, said(value)) for name, value in sorted(question.items())])


def _shares(head: str, counts: Mapping[str, int], rows: int) -> str:
    listed = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return _table((head, "Rows", "Share"), [(name, count, f"{count / rows:.1%}") for name, count in listed])


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    if not lines:
        return ""
    return "\n".join(["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *lines])


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _plain(str(value))


def _plain(text: str) -> str:
    """A name that somebody gave, so that it is a cell of a table and nothing else."""
    for sign in "\\|*_[]<>#":
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())
