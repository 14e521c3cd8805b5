"""Suggestions: asked for, written by a job, stopped, used. The server is real HTTP that says what a test wants said."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest
from django.db.models.functions import Now

from labeling import jobs
from labeling.background.models import Job
from labeling.demos.models import Demonstration, DemonstrationSuggestion, Suggestion
from labeling.demos.suggesting import NoSuggestions, ask_for_suggestion, stop_suggestion, write_suggestion
from labeling.leasing import services as leasing
from labeling.leasing.answers import BadAnswer
from labeling.leasing.services import LeaseEnded
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.sampling.models import Endpoint
from labeling.sampling.services import create_batch, set_endpoint_active
from tests import factories

pytestmark = pytest.mark.django_db


def ask(lease, **more) -> Suggestion:
    return ask_for_suggestion(lease_id=lease.pk, labeler=lease.labeler, **more)[0]


def write(suggestion: Suggestion, meanwhile=lambda second: None) -> Suggestion:
    """As the job does it, by a clock on which each piece takes a second: every piece is stored."""
    seconds = count()

    def clock() -> float:
        second = next(seconds)
        meanwhile(second)
        return float(second)

    return write_suggestion(suggestion_id=suggestion.pk, beat=lambda: None, clock=clock)


def run(suggestion: Suggestion) -> Job:
    return jobs.run_now(Job.objects.get(arguments={"suggestion": suggestion.pk}).pk)


def test_the_job_writes_what_the_endpoint_says(lease, teller):
    suggestion = ask(lease)
    assert (suggestion.state, suggestion.number, suggestion.turn, suggestion.text) == ("waiting", 1, 1, "")
    job = run(suggestion)
    suggestion.refresh_from_db()
    assert (job.state, job.result) == ("done", {"state": "done", "failure": ""})
    assert (suggestion.state, suggestion.text, suggestion.model) == ("done", "Blue is a colour.", "secret-model")
    [sent] = teller.requests
    assert sent["messages"] == lease.task.item.prompt.messages and sent["stream"] is True
    assert (sent["temperature"], sent["seed"]) == (0.7, suggestion.seed)


def test_the_text_grows_in_the_row_while_it_is_written(lease, teller):
    suggestion, seen = ask(lease), []

    def look(second: int) -> None:
        seen.append(Suggestion.objects.get(pk=suggestion.pk).text)

    assert write(suggestion, look).text == "Blue is a colour."
    assert seen[2:] == ["", "Blue ", "Blue is ", "Blue is a "]


def test_another_is_another_and_no_two_labelers_get_the_same(lease, bo):
    first = ask(lease)
    write(first)
    second = ask(lease)
    other = factories.make_lease(
        task=factories.make_task(
            batch=factories.make_batch(kind="demonstration", suggestions=first.endpoint),
            prompt=lease.task.item.prompt,
            texts=(),
        ),
        labeler=bo,
    )
    assert len({first.seed, second.seed, ask(other).seed}) == 3
    assert (first.number, second.number) == (1, 2)


def test_asking_twice_for_the_same_is_asking_once(lease):
    first, created = ask_for_suggestion(lease_id=lease.pk, labeler=lease.labeler)
    again, created_again = ask_for_suggestion(lease_id=lease.pk, labeler=lease.labeler)
    assert (first, created, created_again) == (again, True, False)
    assert Job.objects.filter(kind="write_suggestion").count() == 1


def test_in_a_dialogue_it_goes_on_from_the_turns_before(dialogue, teller):
    first, turns = ask(dialogue), factories.turns_of(["Blue.", "And?"])
    with pytest.raises(Conflict, match="stop it first"):
        ask(dialogue, turns=turns)
    write(first)
    second = ask(dialogue, turns=turns)
    assert (second.turn, second.messages) == (3, [*first.messages, *turns])
    write(second)
    assert teller.requests[1]["messages"] == second.messages
    # The one that was used for a turn that is no more was not used in the end.
    submit(dialogue, "Blue is no colour.", [1, 2], turns=[turns[0] | {"content": "Blue is a colour!"}, turns[1]])
    by_number = {use.suggestion.number: use.operations for use in DemonstrationSuggestion.objects.all()}
    assert by_number == {
        1: [["keep", 7], ["cut", 1], ["add", 1]],
        2: [["keep", 4], ["cut", 1], ["add", 1], ["keep", 3]],
    }


def test_one_whose_turn_is_gone_was_not_used_in_the_end(dialogue):
    write(ask(dialogue, turns=factories.turns_of(["One.", "Two?", "Three.", "Four?"])))
    submit(dialogue, "Mine.", [1], turns=factories.turns_of(["One.", "Two?"]))
    assert not DemonstrationSuggestion.objects.exists()


def test_an_answer_has_no_turns_before_it(lease):
    with pytest.raises(BadAnswer, match="for dialogues"):
        ask(lease, turns=factories.turns_of(["One.", "Two?"]))


def test_ten_for_one_task(lease):
    for _ in range(Suggestion.MOST):
        write(ask(lease))
    with pytest.raises(NoSuggestions, match="all 10"):
        ask(lease)


@pytest.mark.parametrize(
    "turns",
    [
        "x",
        [1],
        [{"role": "system", "content": "x"}],
        [{"role": "user", "content": " "}],
        [{"role": "user", "content": None}],
        [{"role": "user"}],
        [{"role": "assistant", "content": "the last is not the user's"}],
        factories.turns_of(["x", "y"] * 20),
        factories.turns_of(["x" * 100_000, "y"]),
    ],
)
def test_turns_that_are_none_are_refused(dialogue, turns):
    with pytest.raises(BadAnswer, match=r"\.$"):
        ask(dialogue, turns=turns)


def test_the_users_turns_are_the_labelers_own(ada, lease):
    leasing.return_lease(lease_id=lease.pk, labeler=ada)
    messages = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]
    batch = factories.make_batch(kind="dialogue", suggestions=lease.task.batch.suggestions)
    task = factories.make_task(batch=batch, prompt=factories.make_prompt(messages=messages), texts=())
    with pytest.raises(BadAnswer, match="write one first"):
        ask(factories.make_lease(task=task, labeler=ada))


def test_there_are_none_without_an_endpoint_that_is_on(lease, ada, amy):
    set_endpoint_active(endpoint=Endpoint.objects.get(), active=False, actor=amy)
    with pytest.raises(NoSuggestions, match="on your own"):
        ask(lease)


def test_only_while_the_task_is_open(lease, ada, bo):
    suggestion = ask(lease)
    with pytest.raises(NotFound):
        ask_for_suggestion(lease_id=lease.pk, labeler=bo)
    with pytest.raises(NotFound):
        stop_suggestion(lease_id=lease.pk, labeler=bo, number=1)
    leasing.return_lease(lease_id=lease.pk, labeler=ada)
    for call in (ask, lambda lease: stop_suggestion(lease_id=lease.pk, labeler=ada, number=1)):
        with pytest.raises(LeaseEnded):
            call(lease)
    assert write(suggestion).state == "stopped"


def test_a_stopped_one_stays_stopped_and_the_server_is_left(lease, teller):
    teller.pieces = ["word "] * 100_000
    suggestion = ask(lease)

    def stop(second: int) -> None:
        if second == 4:
            stop_suggestion(lease_id=lease.pk, labeler=lease.labeler, number=1)

    assert (write(suggestion, stop).state, write(suggestion).text) == ("stopped", "word word ")
    assert teller.hung_up.wait(10)
    assert ask(lease).number == 2, "the next may be asked for at once"


def test_stopped_before_it_began_and_after_it_ended(lease, teller):
    first = ask(lease)
    stop_suggestion(lease_id=lease.pk, labeler=lease.labeler, number=1)
    assert run(first).result == {"state": "stopped", "failure": ""} and not teller.requests
    second = ask(lease)
    write(second)
    stop_suggestion(lease_id=lease.pk, labeler=lease.labeler, number=2)
    second.refresh_from_db()
    assert second.state == "done"


def test_it_ends_when_its_task_does(lease, teller, ada):
    teller.pieces = ["word "] * 100_000
    suggestion = ask(lease)

    def give_back(second: int) -> None:
        if second == 4:
            leasing.return_lease(lease_id=lease.pk, labeler=ada)

    assert write(suggestion, give_back).state == "stopped"


def test_a_server_that_breaks_off_says_no_or_is_not_there(lease, teller):
    teller.breaks_off = True
    broken = write(ask(lease))
    assert (broken.state, broken.failure) == ("failed", "unavailable")
    teller.refuses = 400
    refused = write(ask(lease))
    assert (refused.failure, refused.error) == ("refused", "secret-model says no")
    Endpoint.objects.update(base_url="http://127.0.0.1:9", api_key_variable="")
    assert write(ask(lease)).failure == "unavailable"
    Endpoint.objects.update(api_key_variable="MODEL_API_KEY_MISSING")
    assert write(ask(lease)).failure == "unavailable"


def test_what_is_empty_or_no_text_is_no_suggestion(lease, teller):
    teller.pieces = [" ", "\n"]
    assert write(ask(lease)).failure == "empty"
    teller.pieces = ["a\x00b", "\ud800c"]
    assert write(ask(lease)).text == "a\ufffdb?c"


@pytest.mark.parametrize(
    "pieces",
    [
        ["I am ", "Chat", "GPT", ", and"],
        ["I am Chat", "GPT"],
        ["Sure. As a ", "sec", "ret", "-model", " I do not"],
        ["Good ", "morning. ", "OpenAI."],
    ],
)
def test_one_that_names_its_maker_is_never_shown_not_even_in_part(lease, teller, pieces):
    from labeling.sampling.marks import ensure_built_in

    ensure_built_in()
    teller.pieces = pieces
    suggestion, seen = ask(lease), []
    ended = write(suggestion, lambda second: seen.append(Suggestion.objects.get(pk=suggestion.pk).text))
    assert (ended.state, ended.failure, ended.text) == ("failed", "named", "")
    assert ended.error.startswith("It named ")
    assert {text.strip() for text in seen} <= {"", "I am", "Sure.", "Sure. As a", "Good", "Good morning."}


def test_a_name_that_the_prompt_says_gives_nothing_away(ada, teller, lease):
    from labeling.sampling.marks import ensure_built_in

    ensure_built_in()
    teller.pieces = ["OpenAI is a company. Char", "ming."]
    batch = factories.make_batch(kind="demonstration", suggestions=lease.task.batch.suggestions)
    asked = factories.make_task(batch=batch, prompt=factories.make_prompt("What is OpenAI?"), texts=())
    leasing.return_lease(lease_id=lease.pk, labeler=ada)
    assert write(ask(factories.make_lease(task=asked, labeler=ada))).text == "OpenAI is a company. Charming."


def test_one_whose_worker_was_lost_is_given_up_when_the_sweep_sends_it_again(lease, settings, teller):
    suggestion = ask(lease)
    Suggestion.objects.update(state="writing", text="Blue ", started_at=Now())
    silent = Now() - timedelta(seconds=settings.JOB_STALE_AFTER + 1)
    Job.objects.update(state="running", attempt=1, heartbeat_at=silent)
    assert run(suggestion).result == {"state": "failed", "failure": "lost"}
    suggestion.refresh_from_db()
    assert (suggestion.text, teller.requests) == ("Blue ", [])


def test_a_job_that_staff_cancel_stops_it(lease, teller):
    from labeling.background import services as background

    suggestion = ask(lease)
    job = background.claim(Job.objects.get().pk)
    Job.objects.update(cancel_requested=True)
    with pytest.raises(background.JobCancelled):
        write_suggestion(suggestion_id=suggestion.pk, beat=lambda: background.beat(job), clock=count(step=10).__next__)
    suggestion.refresh_from_db()
    assert suggestion.state == "stopped"


# What became of it


def submit(lease, text: str, suggestions=None, key: str = "k", **more) -> Demonstration:
    from labeling.demos.services import submit_demonstration

    answer = {"text": text, "suggestions": suggestions, **more}
    return submit_demonstration(lease_id=lease.pk, labeler=lease.labeler, answer=answer, idempotency_key=key)[0]


def test_what_was_made_of_it_is_stored_with_the_answer(lease):
    write(ask(lease))
    write(ask(lease))
    demonstration = submit(lease, "Blue is my favourite colour.", [2])
    use = DemonstrationSuggestion.objects.get()
    assert (use.demonstration, use.suggestion.number, use.suggestion.turn) == (demonstration, 2, 1)
    assert use.operations == [["keep", 4], ["cut", 1], ["add", 3], ["keep", 3]]
    assert use.kept == pytest.approx(13 / 14)
    # The correction begins from the same.
    submit(lease, "Red.", [2], key="k2", replaces=str(demonstration.pk), reason="a slip")
    assert DemonstrationSuggestion.objects.count() == 2


def test_without_suggestions_an_answer_is_what_it_was(lease):
    from labeling.leasing.answers import digest_of

    demonstration = submit(lease, "Mine.", [])
    assert demonstration.payload_sha256 == digest_of({"text": "Mine.", "replaces": None})
    assert not demonstration.suggestions_used.exists()


@pytest.mark.parametrize("used", ["1", 1, [0], [11], ["1"], [True], [2], [1.0]])
def test_what_was_never_suggested_cannot_have_been_used(lease, used):
    write(ask(lease))
    with pytest.raises(Refusal, match=r"\.$"):
        submit(lease, "Mine.", used)
    assert not Demonstration.objects.exists()


def test_one_that_is_being_written_cannot_be_used_yet(lease):
    ask(lease)
    with pytest.raises(BadAnswer, match="has ended"):
        submit(lease, "Mine.", [1])


# Batches


def test_only_written_answers_have_suggestions_and_only_of_an_endpoint_that_is_on(amy):
    endpoint, prompts = factories.make_endpoint(), [factories.make_prompt()]
    batch = create_batch(name="b", kind="demonstration", prompts=prompts, suggestions=endpoint)
    assert batch.suggestions == endpoint
    with pytest.raises(Refusal, match="who writes answers"):
        create_batch(name="c", endpoints=[endpoint], prompts=prompts, suggestions=endpoint)
    set_endpoint_active(endpoint=endpoint, active=False, actor=amy)
    endpoint.refresh_from_db()
    with pytest.raises(Refusal, match="switched off"):
        create_batch(name="d", kind="demonstration", prompts=prompts, suggestions=endpoint)


def test_a_batch_with_suggestions_by_page_and_by_api(rita, api, page):
    endpoint = factories.make_endpoint("the-tuned-one")
    for number in (1, 2):
        factories.make_prompt(f"Prompt {number}?")
    fields = {"name": "by api", "kind": "demonstration", "suggestions": "the-tuned-one"}
    made = api(rita).post("/api/v1/batches/", fields, format="json")
    assert (made.status_code, made.json()["suggestions"]) == (201, "the-tuned-one")
    fields = {
        "name": "by page", "kind": "demonstration", "suggestions": endpoint.pk, "order": "random", "overlap": 1,
        "groups": "training", "priority": 0, "temperature": 1, "top_p": 1, "max_tokens": 64, "seed": 1,
    }  # fmt: skip
    client = page(rita)
    shown = client.post("/batches/new/", fields, follow=True)
    assert b"the-tuned-one" in shown.content and b"what labelers made of them" in shown.content


def test_staff_see_what_became_of_suggestions(lease, rita, page):
    write(ask(lease))
    submit(lease, "Blue is my <b>colour.", [1])
    shown = page(rita).get(f"/batches/{lease.task.batch_id}/suggestions/").content.decode()
    assert "secret-endpoint" in shown and "<del>a</del>" in shown
    assert "<ins>my</ins>" in shown and "&lt;b&gt;" in shown and "<b>" not in shown
    assert "100.0 %" not in shown and "92.9 %" in shown
