"""Rankings as other tools and published data sets have them, turned into the lines that `imports` reads.

A shape's reader takes one record and gives the groups in it: none, one, or, for a conversation tree, several. What no
order can be read from raises BadRow, which names the record; nothing is guessed. Texts stay to the byte, apart from
Anthropic's transcripts, whose turns are taken apart at their speakers' names and trimmed.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ijson
import pyarrow
import pyarrow.parquet
from django.utils.translation import gettext as _

from labeling.intake.reading import BOM, Problem, Unreadable, read_rows
from labeling.people.models import User
from labeling.sampling.importing import BadRow

PARQUET_ROWS = 64
PROMPT_FIELDS = ("prompt", "instruction", "question", "query", "input", "text", "context")
TEXT_FIELDS = ("body", "text", "html", "content", "response", "title")
SPEAKERS = {"Human": "user", "Assistant": "assistant"}
_TURN = re.compile(r"\n\n(Human|Assistant):")
_BUCKET = re.compile(r"(?:\D*\D)?(\d+)")  # "1", "rank_2", "Tier 3"


@dataclass(frozen=True)
class Shape:
    """`read` turns a record into groups; `group` is the labeler group that its rankers belong to unless said."""

    about: str
    read: Callable[[dict], Iterable[dict]]
    group: str = User.Group.TRAINING


# Reading files


def read_shaped(path: Path, shape: Shape) -> Iterator[tuple[int, dict | Problem]]:
    """(record number, group or Problem) for each group in the file, streamed: JSONL, one JSON array, or Parquet."""
    for number, record in _records(path):
        if isinstance(record, Problem):
            yield number, record
            continue
        try:
            groups = list(shape.read(record))
        except BadRow as bad:
            yield number, bad.problem
            continue
        except RecursionError:
            yield number, Problem("wrong_type", "the record is nested too deep to be read")
            continue
        if not groups:
            yield number, Problem("no_rankings", "nothing in the record has been ranked")
        for group in groups:
            yield number, group


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    if path.name.lower().endswith(".parquet"):
        return _parquet_records(path)
    return _array_records(path) if _is_array(path) else read_rows(path)


def _open(path: Path) -> Any:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def _is_array(path: Path) -> bool:
    try:
        with _open(path) as file:
            return file.read(64).removeprefix(BOM).lstrip()[:1] == b"["
    except (OSError, EOFError):
        return False  # reading the rows says what is wrong


def _array_records(path: Path) -> Iterator[tuple[int, Any]]:
    number = 0
    try:
        with _open(path) as file:
            if file.read(len(BOM)) != BOM:
                file.seek(0)
            for number, record in enumerate(ijson.items(file, "item", use_float=True), start=1):
                good = isinstance(record, dict)
                yield number, record if good else Problem("not_an_object", "the entry is not a JSON object")
    except (ijson.JSONError, OSError, EOFError, ValueError) as error:
        if number == 0:
            raise Unreadable(_("{path} cannot be read: {error}").format(path=path.name, error=error)) from None
        yield number + 1, Problem("unreadable", f"the file breaks off after entry {number}: {error}")


def _parquet_records(path: Path) -> Iterator[tuple[int, Any]]:
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pyarrow.ArrowException, OSError) as error:
        raise Unreadable(
            _("{path} cannot be read: {error}").format(path=path.name, error=str(error).splitlines()[0][:200])
        ) from None


# What records share


def _field(record: Any, name: str, kind: type | tuple[type, ...]) -> Any:
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, kind):
        raise BadRow("wrong_type", f"`{name}` is missing or of another kind than this shape has")
    return value


def _prompt_in(fields: dict, *, but: Iterable[str] = ()) -> str | list:
    """The prompt among named fields: by a usual name, else the only text that is no completion."""
    left = {name: value for name, value in fields.items() if name not in set(but) and isinstance(value, str) and value}
    for name in PROMPT_FIELDS:
        if name in left:
            return left[name]
    if len(left) == 1:
        return next(iter(left.values()))
    raise BadRow(
        "no_prompt", f"no field is called {', '.join(PROMPT_FIELDS)}, and {len(left)} others hold text; rename the one"
    )


def _messages(turns: Any) -> list[dict[str, str]]:
    """Turns as {role, content} and nothing else; a text is one turn of the user."""
    if isinstance(turns, str):
        return [{"role": "user", "content": turns}]
    if not isinstance(turns, list):
        raise BadRow("wrong_type", "a conversation must be a text or a list of messages")
    return [{"role": _field(turn, "role", str), "content": _field(turn, "content", str)} for turn in turns]


def _ranks_of(order: list[list[str]], names: Iterable[str]) -> dict[str, int]:
    """Ranks from `order`, best first, ties together; each of `names` must be in it once."""
    ranked = [name for tied in order for name in tied]
    if sorted(ranked) != sorted(names):
        raise BadRow("wrong_ranks", "a ranking must name every completion once, and no other")
    return {name: place for place, tied in enumerate(order, start=1) for name in tied}


def _pair(messages: list[dict], chosen: str, rejected: str, **more: Any) -> dict:
    return {**more, "messages": messages, "completions": [{"text": chosen, "rank": 1}, {"text": rejected, "rank": 2}]}


# Label Studio


def _label_studio(task: dict) -> Iterator[dict]:
    """A task of Label Studio's JSON export with List and Ranker tags, or with Pairwise over two texts."""
    data = _field(task, "data", dict)
    newest: dict[str, dict] = {}
    for annotation in sorted(_field(task, "annotations", list), key=lambda one: str(_dict(one).get("updated_at", ""))):
        if not _dict(annotation).get("was_cancelled"):
            newest[_annotator(_dict(annotation).get("completed_by"))] = annotation
    named = {"group_id": f"task-{task['id']}"} if task.get("id") is not None else {}
    results = {who: _ranking_result(annotation) for who, annotation in newest.items()}
    results = {who: result for who, result in results.items() if result}
    if not results:
        return
    key, texts = _listed(data)
    yield {
        **named,
        "prompt": _prompt_in(data, but=[key]),
        "completions": texts,
        "rankings": [
            {"labeler": who, "ranks": _ranks_of(_label_studio_order(result), texts)} for who, result in results.items()
        ],
    }


def _dict(value: Any) -> dict:
    return value if isinstance(value, dict) else {}


def _annotator(value: Any) -> str:
    """A number, or an object with `id` and `email`: the number, since a mail address would name the person."""
    value = value.get("id", value.get("email")) if isinstance(value, dict) else value
    if value is None:
        raise BadRow("no_labeler", "an annotation has no `completed_by`")
    return str(value)[:40]


def _ranking_result(annotation: dict) -> dict | None:
    found = [one for one in annotation.get("result") or [] if _dict(one).get("type") == "ranker"]
    if len(found) > 1:
        raise BadRow("wrong_ranks", "an annotation has several Ranker results; export one Ranker at a time")
    return _dict(found[0].get("value")) if found else None


def _listed(data: dict) -> tuple[str, dict[str, str]]:
    """The List's field and its items: id → text."""
    lists = {
        name: value
        for name, value in data.items()
        if isinstance(value, list) and value and all(isinstance(item, dict) and "id" in item for item in value)
    }
    if len(lists) != 1:
        raise BadRow("no_completions", f"{len(lists)} fields of `data` are lists of items with an `id`; one is ranked")
    ((key, items),) = lists.items()
    found = {}
    for item in items:
        text = next((item[name] for name in TEXT_FIELDS if isinstance(item.get(name), str) and item[name]), None)
        if text is None:
            raise BadRow("no_completions", f"item {str(item['id'])[:60]!r} has no text in {', '.join(TEXT_FIELDS)}")
        found[str(item["id"])] = text
    return key, found


def _label_studio_order(value: dict) -> list[list[str]]:
    """Best first. One list is an order without ties; buckets are ties, in the order of the numbers in their names."""
    columns = {name: ids for name, ids in _dict(value.get("ranker")).items() if isinstance(ids, list)}
    columns = {name: [str(one) for one in ids] for name, ids in columns.items() if name != "_" or ids}
    if len(columns) == 1:
        return [[one] for one in next(iter(columns.values()))]
    places = {name: _BUCKET.fullmatch(name) for name in columns}
    if not columns or not all(places.values()):
        unknown = sorted(name for name, found in places.items() if not found)
        raise BadRow(
            "wrong_ranks",
            f"buckets {', '.join(map(repr, unknown))[:200]} have no number in their names, which would say their order",
        )
    return [columns[name] for name in sorted(columns, key=lambda name: int(places[name][1])) if columns[name]]


# Argilla


def _argilla(record: dict) -> Iterator[dict]:
    """A record of Argilla's export with a ranking question: as `records.to_json` (2.x) or the Hub's columns have it."""
    fields = _field(record, "fields", dict) if "fields" in record else record
    given = list(_argilla_answers(record))
    if not given:
        return
    options = sorted({name for _who, order in given for tied in order for name in tied})
    fold = {_folded(name): name for name, value in fields.items() if isinstance(value, str)}
    names = {option: fold.get(_folded(option)) for option in options}
    missing = [option for option, name in names.items() if name is None]
    if missing:
        raise BadRow("no_completions", f"no field holds the text of {', '.join(missing)[:200]}")
    if len(set(names.values())) < len(options):
        raise BadRow("no_completions", "two ranked options are the same field")
    identity = record.get("id") or record.get("external_id")
    yield {
        **({"group_id": str(identity)[:200]} if identity is not None else {}),
        "prompt": _prompt_in(fields, but=[*names.values(), "id", "external_id", "status", "_server_id", "metadata"]),
        "completions": {option: fields[name] for option, name in names.items()},
        "rankings": [{"labeler": who, "ranks": _ranks_of(order, options)} for who, order in given],
    }


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _argilla_answers(record: dict) -> Iterator[tuple[str, list[list[str]]]]:
    """(user, order) of every submitted answer to the one question that ranks."""
    answers: dict[str, list[tuple[str, Any]]] = {}
    for question, entries in _dict(record.get("responses")).items():  # 2.x, JSON
        for entry in entries if isinstance(entries, list) else []:
            if _dict(entry).get("status", "submitted") == "submitted":
                answers.setdefault(question, []).append((_argilla_user(entry), _dict(entry).get("value")))
    for column, values in record.items():
        if column.endswith(".responses") and isinstance(values, list):  # 2.x, columns
            question = column.removesuffix(".responses")
            users = record.get(f"{column}.users") or [None] * len(values)
            states = record.get(f"{column}.status") or ["submitted"] * len(values)
            for value, user, state in zip(values, users, states, strict=False):
                if state == "submitted":
                    answers.setdefault(question, []).append((_argilla_user({"user_id": user}), value))
        elif isinstance(values, list) and values and all(isinstance(one, dict) for one in values):  # 1.x, columns
            for entry in values:
                if "user_id" in entry and entry.get("status", "submitted") == "submitted":
                    answers.setdefault(column, []).append((_argilla_user(entry), entry.get("value")))
    ranked = {
        question: [(who, order) for who, value in found if (order := _argilla_order(value)) is not None]
        for question, found in answers.items()
    }
    ranked = {question: found for question, found in ranked.items() if found}
    if len(ranked) > 1:
        raise BadRow("wrong_ranks", f"several questions rank: {', '.join(sorted(ranked))[:200]}; export one at a time")
    return iter(next(iter(ranked.values()), []))


def _argilla_user(entry: Any) -> str:
    user = _dict(entry).get("user_id")
    if user is None:
        raise BadRow("no_labeler", "a response names no `user_id`")
    return str(user)[:40]


def _argilla_order(value: Any) -> list[list[str]] | None:
    """Best first; None for the answer to a question of another kind."""
    if isinstance(value, dict) and isinstance(value.get("value"), list) and isinstance(value.get("rank"), list):
        value = [{"value": one, "rank": rank} for one, rank in zip(value["value"], value["rank"], strict=False)]
    if not isinstance(value, list) or len(value) < 2:
        return None
    if all(isinstance(one, str) for one in value):
        return [[one] for one in value]
    by_rank: dict[float, list[str]] = {}
    for one in value:
        name, rank = _dict(one).get("value"), _dict(one).get("rank")
        if not isinstance(name, str) or isinstance(rank, bool) or not isinstance(rank, int | float):
            return None
        by_rank.setdefault(rank, []).append(name)
    return [by_rank[rank] for rank in sorted(by_rank)]


# Published data sets


def _hh_rlhf(record: dict) -> Iterator[dict]:
    """Anthropic's HH-RLHF: two transcripts that share all turns but the last."""
    chosen, rejected = (_transcript(_field(record, name, str)) for name in ("chosen", "rejected"))
    if chosen[:-1] != rejected[:-1]:
        raise BadRow(
            "different_prompts", "the transcripts differ before their last turn, so they compare no two answers"
        )
    if chosen[-1]["role"] != "assistant" or rejected[-1]["role"] != "assistant":
        raise BadRow("wrong_type", "a transcript must end with the assistant's turn")
    yield _pair(chosen[:-1], chosen[-1]["content"], rejected[-1]["content"])


def _transcript(text: str) -> list[dict[str, str]]:
    before, *rest = _TURN.split(text)
    if before.strip() or not rest:
        raise BadRow("wrong_type", "a transcript must begin with a turn, as in '\\n\\nHuman: …'")
    turns = zip(rest[::2], rest[1::2], strict=True)
    return [{"role": SPEAKERS[speaker], "content": content.strip()} for speaker, content in turns]


def _oasst(tree: dict) -> Iterator[dict]:
    """Open-Assistant's trees: each prompter's message with two or more ranked replies is a group."""
    stack = [(_field(tree, "prompt", dict), [])]
    while stack:
        node, before = stack.pop()
        role = {"prompter": "user", "assistant": "assistant"}.get(node.get("role"))
        if role is None:
            raise BadRow("unknown_role", f"a message has the role {str(node.get('role'))[:40]!r}")
        messages = [*before, {"role": role, "content": _field(node, "text", str)}]
        replies = [reply for reply in node.get("replies") or [] if not _dict(reply).get("deleted")]
        ranked = [reply for reply in replies if isinstance(_dict(reply).get("rank"), int)]
        if role == "user" and len(ranked) >= 2:
            yield {
                **({"group_id": node["message_id"]} if node.get("message_id") else {}),
                "messages": messages,
                "completions": [_oasst_reply(reply) for reply in ranked],
            }
        stack += [(_node(reply), messages) for reply in replies]


def _node(reply: Any) -> dict:
    if not isinstance(reply, dict):
        raise BadRow("wrong_type", "a reply must be an object")
    return reply


def _oasst_reply(reply: dict) -> dict:
    model = {"model": str(reply["model_name"])[:200]} if reply.get("synthetic") and reply.get("model_name") else {}
    return {"text": _field(reply, "text", str), "rank": reply["rank"], **model}


def _summarize_from_feedback(record: dict) -> Iterator[dict]:
    """OpenAI's comparisons of two summaries (Stiennon et al. 2020); the prompt is written as their models read it."""
    info, choice = _field(record, "info", dict), record.get("choice")
    summaries = _field(record, "summaries", list)
    if len(summaries) != 2 or isinstance(choice, bool) or choice not in (0, 1):
        raise BadRow("wrong_ranks", "a comparison has two `summaries`, and a `choice` of 0 or 1")
    if info.get("post"):
        parts = [("SUBREDDIT: r/", info.get("subreddit")), ("TITLE: ", info.get("title")), ("POST: ", info["post"])]
        prompt = "\n\n".join(f"{name}{text}" for name, text in parts if text) + "\n\nTL;DR:"
    else:
        prompt = f"Article:\n{_field(info, 'article', str)}\n\nTL;DR:"
    confidence = _dict(record.get("extra")).get("confidence")
    row = {
        "prompt": prompt,
        "labeler": str(record.get("worker") or "consensus")[:40],
        "completions": [
            {
                "text": _field(summary, "text", str),
                "rank": 1 if index == choice else 2,
                "model": str(_dict(summary).get("policy") or "unknown")[:200],
            }
            for index, summary in enumerate(summaries)
        ],
    }
    yield {**row, "ratings": {"confidence": confidence}} if confidence is not None else row


def _ultrafeedback(record: dict) -> Iterator[dict]:
    """UltraFeedback: up to four models' answers with a judge's overall score; equal scores are ties."""
    completions = _field(record, "completions", list)
    scores = [_dict(one).get("overall_score") for one in completions]
    if any(isinstance(score, bool) or not isinstance(score, int | float) for score in scores):
        raise BadRow("wrong_ranks", "a completion has no `overall_score`")
    yield {
        "prompt": _field(record, "instruction", str),
        "labeler": "gpt-4",
        "completions": [
            {"text": _field(one, "response", str), "rank": -score, "model": str(one.get("model") or "unknown")[:200]}
            for one, score in zip(completions, scores, strict=True)
        ],
    }


def _chosen_rejected(record: dict) -> Iterator[dict]:
    """Pairs as preference trainers take them: `chosen` and `rejected` as text or messages, with or without `prompt`."""
    chosen, rejected = record.get("chosen"), record.get("rejected")
    if isinstance(chosen, str) and isinstance(rejected, str):
        yield _pair(_messages(record.get("prompt")), chosen, rejected)
        return
    chosen, rejected = _messages(chosen), _messages(rejected)
    if not chosen or not rejected or chosen[:-1] != rejected[:-1]:
        raise BadRow("different_prompts", "`chosen` and `rejected` differ before their last message")
    before = chosen[:-1]
    if not before or not isinstance(record.get("prompt"), str):
        before = [*(_messages(record["prompt"]) if record.get("prompt") else []), *before]
    yield _pair(before, chosen[-1]["content"], rejected[-1]["content"])


SHAPES = {
    "label-studio": Shape("Label Studio's JSON export of a project with List and Ranker", _label_studio),
    "argilla": Shape("Argilla's export of a data set with a ranking question", _argilla),
    "hh-rlhf": Shape("Anthropic's HH-RLHF: two transcripts, chosen and rejected", _hh_rlhf),
    "oasst": Shape("Open-Assistant's conversation trees", _oasst),
    "summarize-from-feedback": Shape(
        "OpenAI's comparisons of summaries (Stiennon et al. 2020)", _summarize_from_feedback
    ),
    "ultrafeedback": Shape("UltraFeedback: four answers with a model's scores", _ultrafeedback, User.Group.SIMULATED),
    "chosen-rejected": Shape("Pairs as preference trainers read them", _chosen_rejected),
}
