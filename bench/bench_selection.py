"""How long drawing a batch by strategy, the mix of use cases and the next prompt to name take, of few prompts and many.

Each strategy is held against a draw at random from the same prompts in the same run. Signals are made up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

from bench.stack import execute, settle, stack

WANTED = 1_000  # prompts a draw
TIMES = 3
FEW = 10_000
PROMPTS = """
    INSERT INTO labeling_prompt (
        id, source_id, source_user_id, external_id, messages, text_sha256, use_case, consent, state, categories
    )
    SELECT gen_random_uuid(), {source}, {user}, '', jsonb_build_array(
        jsonb_build_object('role', 'user', 'content', 'Write a story about number ' || n)
    ), encode(sha256(('prompt ' || n)::bytea), 'hex'),
    (array['generation', 'open_qa', 'chat', 'rewrite', ''])[1 + n %% 5], '', 'accepted', '{{}}'
    FROM generate_series({first}, {last}) n
"""
SIGNALS = """
    INSERT INTO labeling_promptsignal (prompt_id, kind, value, made_of)
    SELECT id, 'uncertainty', random(), 'made up' FROM labeling_prompt
    UNION ALL SELECT id, 'group', floor(200 * random()), 'made up' FROM labeling_prompt
    ON CONFLICT DO NOTHING
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=1_000_000)
    given = parser.parse_args()
    with stack(redis=False):
        measure(given.prompts)


def say(figure: str, value: float, unit: str, **more: object) -> None:
    print(json.dumps({"benchmark": "selection", "figure": figure, "value": value, "unit": unit, **more}), flush=True)


def timed(function: Callable[[], object]) -> float:
    """Seconds, the middle of TIMES."""
    found = []
    for _time in range(TIMES):
        started = time.perf_counter()
        function()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def measure(prompts: int) -> None:
    from django.db import transaction

    from labeling.intake.models import Source, SourceUser
    from labeling.languages.detecting import detect
    from labeling.people.models import User
    from labeling.sampling import selecting
    from labeling.sampling.choosing import Selection
    from labeling.use_cases import queries

    source = Source.objects.create(name="bench")
    user = SourceUser.objects.create(source=source, external_id="u", split="train")
    person = User.objects.create_user("bench", role="researcher", group="researcher")

    def draw(order: str) -> None:
        with transaction.atomic():
            rows, _said = selecting.draw(Selection(order=order, count=WANTED), seed=1)
            assert len(list(rows)) == WANTED

    first, per_prompt = 1, {}
    for count in (FEW, prompts):
        execute(PROMPTS.format(source=source.pk, user=user.pk, first=first, last=count).replace("%%", "%"))
        execute(SIGNALS)
        settle()
        first = count + 1
        base = timed(lambda: draw("random"))
        say("a draw at random", round(base, 3), "s", prompts=count, wanted=WANTED)
        for order in ("mix", "uncertainty", "coverage"):
            took = timed(lambda order=order: draw(order))
            say(f"a draw by {order}", round(took, 3), "s", prompts=count, wanted=WANTED)
            say(f"a draw by {order} to one at random", round(took / base, 1), "1", prompts=count, wanted=WANTED)
            per_prompt.setdefault(order, []).append(count / took)
        took = timed(queries.mix)
        say("the mix of use cases", round(took, 3), "s", prompts=count)
        took = timed(lambda: queries.turn(person=person, size=5))
        say("the next prompts to name", round(1000 * took, 1), "ms", prompts=count)
    for order, (few, many) in per_prompt.items():
        say(f"prompts a second by {order}, many to few", round(many / few, 2), "1", prompts=prompts, few=FEW)
    detect("to load it")
    texts = [f"Write a short story about a lighthouse and its keeper, number {n}." for n in range(500)]
    took = timed(lambda: [detect(text) for text in texts])
    say("language of a prompt of 12 words", round(len(texts) / took), "prompts/s")


if __name__ == "__main__":
    main()
