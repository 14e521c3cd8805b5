"""Everything that is held of a person, as they are given it: lines of JSON, one for each row.

What is told is what an erasure would take, by the same rules, so that neither can forget a table. Who of the team wrote
or judged something is not in it: that is not the person's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.db import connection

from labeling.erasure.blanking import RULES, Blanking, Rule
from labeling.exports.models import DatasetRow
from labeling.intake.models import Prompt, SourceUser
from labeling.pipeline.queries import checkpoints_of_datasets

CHUNK = 500  # rows fetched at a time
# How rows are kept, and nothing about anybody.
INTERNAL = {"payload_sha256", "text_sha256", "erased", "seat_id", "sent_back", "state", "ended_at"}


def lines_of(person: SourceUser) -> Iterator[str]:
    """JSON objects, each on a line, with `kind` and what that kind of row says."""
    for line in _rows_of(person):
        yield json.dumps(line, ensure_ascii=False, default=str) + "\n"


def _rows_of(person: SourceUser) -> Iterator[dict]:
    yield {
        "kind": "person",
        "source": person.source.name,
        "user_id": person.external_id,
        "split": person.split,
        "since": person.created_at.isoformat(),
        "prompts": person.prompt_count,
    }
    prompts = Prompt.objects.filter(source_user=person).order_by("created_at", "id")
    for prompt in prompts.iterator(chunk_size=CHUNK):
        yield {
            "kind": "prompt",
            "id": str(prompt.pk),
            "external_id": prompt.external_id,
            "messages": prompt.messages,
            "state": prompt.state,
            "use_case": prompt.use_case,
            "categories": prompt.categories,
            "consent": prompt.consent,
            "created_at": prompt.created_at.isoformat(),
        }
    ids = list(prompts.values_list("pk", flat=True))
    belongs = Blanking(ids)
    for rule in RULES:
        if rule.told:
            yield from _of_rule(rule, belongs)
    datasets = DatasetRow.objects.filter(prompt__in=ids).order_by().values_list("dataset", "dataset__content_hash")
    learned = dict(datasets.distinct())
    for content_hash in sorted(learned.values()):
        yield {"kind": "dataset", "content_hash": content_hash}
    for checkpoint in checkpoints_of_datasets(list(learned)):
        yield {"kind": "model", "name": checkpoint.name, "weights_sha256": checkpoint.weights_sha256}


def _of_rule(rule: Rule, belongs: Blanking) -> Iterator[dict]:
    named = [name for name in dict.fromkeys([*rule.sets, *rule.answers, *rule.tells]) if name not in INTERNAL]
    if not named:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT to_jsonb(held) FROM {rule.table} held WHERE {rule.by} = ANY(%s) AND {rule.where}",
            [belongs.ids[rule.scope]],
        )
        while rows := cursor.fetchmany(CHUNK):
            for (row,) in rows:
                row = row if isinstance(row, dict) else json.loads(row)
                told = {name: row[name] for name in named if row[name] not in ("", None, [], {})}
                if told:
                    known = {name: row[name] for name in ("id", "created_at", rule.by) if name in row}
                    yield {"kind": rule.table.removeprefix("labeling_"), **known, **told}
