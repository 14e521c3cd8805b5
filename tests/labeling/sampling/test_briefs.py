from __future__ import annotations

from collections import Counter

import pytest

from labeling.background.models import Job
from labeling.jobs import run_now
from labeling.leasing.models import Seat
from labeling.refusals import Conflict, Refusal
from labeling.sampling.briefs import PAPER_SHARES, create_prompt_batch, make_briefs, read_statements, spread_out
from labeling.sampling.models import Batch

WISH = {
    "plain": 0,
    "few_shot": 0,
    "user_based": None,
    "statements": [],
    "use_cases": [],
    "spread": "paper",
    "pairs": 3,
    "note": "",
    "seed": 1,
}


def test_use_cases_are_spread_as_in_the_paper():
    assert sum(PAPER_SHARES.values()) == pytest.approx(99.9)  # rounded there
    assert Counter(spread_out(1000, PAPER_SHARES)) == {
        "generation": 456,
        "open_qa": 124,
        "brainstorming": 112,
        "chat": 84,
        "rewrite": 66,
        "summarization": 42,
        "classification": 35,
        "other": 35,
        "closed_qa": 26,
        "extract": 19,
    } | {"generation": 457}
    assert spread_out(5, {"a": 1, "b": 1}) == ["a", "a", "a", "b", "b"]
    assert [len(spread_out(count, PAPER_SHARES)) for count in range(40)] == list(range(40))


def test_briefs_say_what_is_wanted_and_repeat_with_the_seed():
    wish = WISH | {"plain": 6, "few_shot": 4, "use_cases": ["chat", "extract"], "spread": "even", "pairs": 5}
    wish |= {"statements": ["a", "b"], "user_based": 5, "note": "Short."}
    briefs = make_briefs(**wish)
    assert make_briefs(**wish) == briefs != make_briefs(**wish | {"seed": 2})
    assert Counter(brief.form for brief in briefs) == {"plain": 6, "few_shot": 4, "user_based": 5}
    assert Counter(brief.use_case for brief in briefs) == {"chat": 5, "extract": 5, "": 5}
    assert Counter(brief.statement for brief in briefs) == {"": 10, "a": 3, "b": 2}
    assert {brief.pairs for brief in briefs if brief.form == "few_shot"} == {5}
    assert {brief.note for brief in briefs} == {"Short."}
    assert {brief.use_case for brief in make_briefs(**wish | {"spread": "none"})} == {""}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, "Say how many prompts"),
        ({"plain": -1, "few_shot": 5}, "negative"),
        ({"user_based": 3}, "Give the stated uses"),
        ({"statements": ["a", "b"], "user_based": 1}, "cannot go round 2"),
        ({"plain": 10_001}, "too many for a batch"),
        ({"few_shot": 1, "pairs": 1}, "from 2 to 20"),
        ({"few_shot": 1, "pairs": 21}, "from 2 to 20"),
        ({"plain": 1, "use_cases": ["odd"]}, "no use case 'odd'"),
        ({"plain": 1, "spread": "odd"}, "cannot be spread 'odd'"),
    ],
)
def test_wishes_that_cannot_be_are_refused(change, says):
    with pytest.raises(Refusal, match=says):
        make_briefs(**WISH | change)


def test_stated_uses_are_lines_without_personal_data():
    assert read_statements(["", " to plan lessons ", "\tto plan lessons", "für Gedichte"]) == [
        "to plan lessons",
        "für Gedichte",
    ]
    with pytest.raises(Refusal, match=r"Line 2 .* personal data \(email\)"):
        read_statements(["fine", "mail ada.lovelace@gmail.com"])
    with pytest.raises(Refusal, match="Line 1 .* 1001 characters"):
        read_statements(["x" * 1001])


@pytest.mark.django_db
def test_a_batch_of_briefs_opens_its_tasks(rita):
    batch = create_prompt_batch(name="written", plain=3, statements=["lessons"], overlap=2, created_by=rita)
    assert (batch.kind, batch.items.count(), batch.items.filter(brief__form="user_based").count()) == ("prompt", 4, 1)
    with pytest.raises(Conflict):
        create_prompt_batch(name="written", plain=1)
    for groups in (["held_out"], ["training", "simulated"], []):
        with pytest.raises(Refusal, match="Prompts are written by the groups"):
            create_prompt_batch(name="other", plain=1, groups=groups)
    with pytest.raises(Refusal, match="Prompts are written by the groups"):
        create_prompt_batch(name="other", plain=1, group_targets={"held_out": 1})
    assert Batch.objects.count() == 1


@pytest.mark.django_db
def test_page_and_api_make_the_same(rita, page, api):
    given = {"name": "by page", "plain": 2, "few_shot": 1, "pairs": 3, "spread": "even", "overlap": 1, "seed": 4}
    lines = {"statements": "to plan lessons\r\n\r\nto write songs", "groups": ["training"], "priority": 0}
    answer = page(rita).post("/batches/new/written/", given | lines)
    first = Batch.objects.get()
    assert answer.headers["Location"] == f"/batches/{first.pk}/"
    body = given | {"kind": "prompt", "name": "by api", "statements": ["to plan lessons", "to write songs"]}
    made = api(rita).post("/api/v1/batches/", body, format="json")
    assert (made.status_code, made.json()["kind"], made.json()["counts"]["filled"]) == (201, "prompt", 5)
    second = Batch.objects.get(name="by api")
    assert [item.brief for item in first.items.order_by("id")] == [item.brief for item in second.items.order_by("id")]
    for job in Job.objects.filter(kind="sample_batch"):
        assert run_now(str(job.pk)).state == "done"
    first.refresh_from_db()
    assert (first.state, Seat.objects.filter(batch=first, state="free").count()) == ("open", 5)
    assert page(rita).get(f"/batches/{first.pk}/").status_code == 200


@pytest.mark.django_db
def test_what_cannot_be_made_is_said_where_it_was_asked(rita, page, api):
    answer = page(rita).post("/batches/new/written/", {"name": "x"})
    assert answer.status_code == 400 and b"This field is required" in answer.content
    for change, says in (
        ({"spread": "odd"}, "cannot be spread"),
        ({"pairs": 1}, "`pairs` is 1"),
        ({"statements": "one"}, "list of texts"),
        ({"endpoints": ["e"]}, "`endpoints` is not known here"),
    ):
        answer = api(rita).post("/api/v1/batches/", {"kind": "prompt", "name": "x", "plain": 1} | change, format="json")
        assert answer.status_code == 400 and says in answer.json()["error"]["message"]
    assert not Batch.objects.exists()
