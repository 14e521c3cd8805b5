"""Written prompts go into the pool by the word of a second labeler, and out of it again."""

from __future__ import annotations

import threading

import pytest
from django.conf import settings
from django.db import connection

from labeling.background.models import Job
from labeling.demos.layout import content_of, messages_of, parts_of
from labeling.demos.models import Admission, WrittenPrompt
from labeling.demos.queries import writing_of
from labeling.demos.written import submit_written_prompt
from labeling.exports.lines import Tally
from labeling.exports.question import read_question
from labeling.exports.rows import prompts
from labeling.governance.models import Decision
from labeling.governance.outputs import OutputGate
from labeling.governance.services import decide_prompt
from labeling.intake.models import Prompt
from labeling.jobs import run_now
from labeling.leasing import services as leasing
from labeling.leasing.answers import BadAnswer
from labeling.leasing.models import Lease
from labeling.leasing.services import grant_lease
from labeling.people.models import User
from labeling.reviews.admitting import admit
from labeling.reviews.models import Review
from labeling.reviews.queries import progress_of
from tests import factories
from tests.labeling.reviews.conftest import correct as correct_review
from tests.labeling.reviews.conftest import key, review

pytestmark = pytest.mark.django_db

PLAIN = {"text": "Write a haiku.", "use_case": "generation"}
FEW_SHOT = {
    "instruction": "Say how it feels.",
    "pairs": [{"query": "Rain.", "response": "bad"}, {"query": "Sun!\nYes.", "response": "good"}],
    "query": "Fog.",
    "use_case": "classification",
}
TURNS = [
    {"role": "instruction", "content": "Say how it feels."},
    {"role": "query", "content": "Rain."},
    {"role": "response", "content": "bad"},
    {"role": "query", "content": "Sun!\nYes."},
    {"role": "response", "content": "good"},
]


def submit(lease: Lease, answer: dict) -> WrittenPrompt:
    return submit_written_prompt(lease_id=lease.pk, labeler=lease.labeler, answer=answer, idempotency_key=key())[0]


def correct(written: WrittenPrompt, **changes) -> WrittenPrompt:
    again = {"text": written.text, "use_case": written.use_case, **changes}
    return submit(written.lease, {**again, "replaces": str(written.pk), "reason": "a slip"})


def run_jobs() -> list[dict]:
    """The results of all admissions that wait, in their order."""
    waiting = Job.objects.filter(kind="admit_written_prompt", state="queued").order_by("created_at")
    return [run_now(str(job.pk)).result for job in list(waiting)]


def pool() -> list[str]:
    return [prompt.last_message for prompt in Prompt.objects.filter(state="accepted").order_by("created_at")]


@pytest.fixture
def batch(db):
    return factories.make_reviewed_batch(kind="prompt", groups=["training"])


@pytest.fixture
def written(ada, batch) -> WrittenPrompt:
    factories.make_brief(batch=batch)
    return submit(grant_lease(labeler=ada), PLAIN)


@pytest.fixture
def few_shot(ada, batch) -> WrittenPrompt:
    factories.make_brief(batch=batch, form="few_shot", pairs=2)
    return submit(grant_lease(labeler=ada), FEW_SHOT)


# Its parts


def test_a_prompt_is_a_list_of_parts_and_comes_back_from_them(written, few_shot):
    assert (few_shot.turns, few_shot.text) == (TURNS, "Fog.")
    assert few_shot.conversation == [*TURNS, {"role": "query", "content": "Fog."}]
    assert (written.turns, written.text) == ([], "Write a haiku.")
    for one in (written, few_shot):
        assert content_of(one.form, [part["content"] for part in parts_of(one.form, one.content)]) == one.content


# Reviewing it


def test_the_reviewer_is_shown_parts_use_case_and_brief_and_not_whose_they_are(few_shot, ada, bo, api):
    assert grant_lease(labeler=ada) is None
    body = api(bo).post("/api/v1/tasks/next/").json()
    assert (body["kind"], body["messages"], body["brief"]["form"]) == ("review", [], "few_shot")
    assert body["written"] == {"turns": TURNS, "text": "Fog.", "form": "few_shot", "use_case": "classification"}
    assert "ada" not in str(body) and str(few_shot.pk) not in str(body)


def test_an_edit_is_kept_to_the_byte(few_shot, bo):
    turns = [*TURNS[:2], {"role": "response", "content": " b\u202ead\r\n"}, *TURNS[3:]]
    given = review(grant_lease(labeler=bo), "edit", turns=turns, text="Fog.")
    given.refresh_from_db()
    assert (given.written, given.turns, given.text, given.demonstration) == (few_shot, turns, "Fog.", None)
    assert given.edits[2] == ("response", "bad", " b\u202ead\r\n")


@pytest.mark.parametrize(
    ("turns", "text", "words"),
    [
        (TURNS, "Fog.", "changed nothing"),
        (None, "Mist.", "keeps the prompt's parts"),
        (TURNS[:3], "Mist.", "keeps the prompt's parts"),
        ([*TURNS, *TURNS[3:]], "Mist.", "keeps the prompt's parts"),
        ([TURNS[0], TURNS[2], TURNS[1], *TURNS[3:]], "Mist.", "keeps the prompt's parts"),
        ([{**TURNS[0], "more": 1}, *TURNS[1:]], "Mist.", "keeps the prompt's parts"),
        ([{**TURNS[0], "content": " "}, *TURNS[1:]], "Mist.", r"Part 1 \(instruction\)"),
        ([*TURNS[:2], {**TURNS[2], "content": 5}, *TURNS[3:]], "Mist.", r"Part 3 \(response\)"),
        ("x", "Mist.", "list of the prompt's parts"),
        ([1], "Mist.", "list of the prompt's parts"),
        (TURNS, " ", "leaves nothing"),
        (TURNS, None, "null"),
        (TURNS, "x" * settings.PROMPT_MAX_CHARACTERS, "Shorten it"),
    ],
)
def test_what_is_no_edit_of_a_few_shot_prompt_is_refused(few_shot, bo, turns, text, words):
    with pytest.raises(BadAnswer, match=words) as refused:
        review(grant_lease(labeler=bo), "edit", turns=turns, text=text)
    assert refused.value.message.endswith(".")
    assert not Review.objects.exists()


def test_a_plain_prompt_has_but_one_part(written, bo):
    lease = grant_lease(labeler=bo)
    with pytest.raises(BadAnswer, match="this order: none"):
        review(lease, "edit", turns=TURNS[:1], text="x")
    with pytest.raises(BadAnswer, match="no field 'use_case'"):
        review(lease, "edit", text="x", use_case="chat")
    assert review(lease, "edit", text="Write two haikus.").text == "Write two haikus."


# Into the pool and out of it


def test_nothing_is_in_the_pool_before_its_review(written):
    assert run_jobs() == [{"prompt": "", "reason": "waits_for_review"}]
    assert not Prompt.objects.exists() and not Admission.objects.exists()


def test_what_is_accepted_is_in_the_pool_with_its_writer(few_shot, ada, bo):
    given = review(grant_lease(labeler=bo))
    assert {result["reason"] for result in run_jobs()} == {""}
    prompt, admission = Prompt.objects.get(), Admission.objects.get()
    assert (admission.prompt, admission.review, admission.written) == (prompt, given, few_shot)
    assert prompt.messages == messages_of("few_shot", few_shot.content)
    assert (prompt.external_id, prompt.use_case) == (str(few_shot.pk), "classification")
    assert prompt.source_user.external_id == f"labeler-{ada.pk}"
    assert admit(written=few_shot) == admission


def test_what_is_edited_is_in_the_pool_as_edited(few_shot, batch, bo):
    run_jobs()
    turns = [{**TURNS[0], "content": "Judge the mood."}, *TURNS[1:]]
    given = review(grant_lease(labeler=bo), "edit", turns=turns, text="Fog again.")
    run_jobs()
    (prompt,) = Prompt.objects.all()
    assert prompt.last_message == (
        "Judge the mood.\n\nQuery: Rain.\nResponse: bad\n\nQuery: Sun!\nYes.\nResponse: good\n\n"
        "Query: Fog again.\nResponse:"
    )
    assert (prompt.external_id, writing_of(prompt).review) == (str(given.pk), given)
    # An export finds it by the batch in which it was written.
    (line,) = prompts(read_question(kind="prompts", question={"batches": [batch.name]}), Tally(), OutputGate())
    assert line.row["id"] == str(prompt.pk)


def test_what_is_sent_back_is_out_until_its_correction_is_accepted(written, bo):
    review(grant_lease(labeler=bo), "send_back", note="Of what?")
    assert [result["reason"] for result in run_jobs()] == ["sent_back", "sent_back"]
    written.lease.refresh_from_db()
    assert written.lease.sent_back and pool() == []
    second = correct(written, text="Write a haiku of rain.")
    run_jobs()
    assert pool() == []
    lease = grant_lease(labeler=bo)
    assert lease.task.item.external_id == str(second.pk)
    review(lease)
    run_jobs()
    assert pool() == ["Write a haiku of rain."]
    assert admit(written=written).reason == "sent_back"


def test_a_corrected_review_takes_the_prompt_out_and_brings_it_back(written, bo):
    given = review(grant_lease(labeler=bo))
    run_jobs()
    first = Prompt.objects.get()
    given = correct_review(given, verdict="send_back", note="No.")
    run_jobs()
    assert pool() == []
    decision = Decision.objects.get()
    assert (decision.outcome, decision.decided_by, decision.reason) == ("take_back", bo, "Sent back in review: No.")
    given = correct_review(given, verdict="edit", text="Write two.")
    run_jobs()
    assert pool() == ["Write two."]
    given = correct_review(given, verdict="accept")
    run_jobs()
    assert pool() == ["Write a haiku."] and Prompt.objects.count() == 2
    correct_review(given, verdict="edit", text="Write two.")
    run_jobs()
    first.refresh_from_db()
    assert (pool(), first.state) == (["Write two."], "dropped")
    assert [one.reason for one in Admission.objects.order_by("id")] == ["", "sent_back", "", "", ""]
    assert first.source_user.prompt_count == 2


def test_a_correction_takes_the_prompt_out_at_once_and_the_same_text_comes_back(written, bo, ada):
    review(grant_lease(labeler=bo))
    run_jobs()
    second = correct(written, use_case="chat")
    assert run_jobs() == [{"prompt": "", "reason": "waits_for_review"}]
    assert pool() == [] and Decision.objects.get().decided_by == ada
    review(grant_lease(labeler=bo))
    run_jobs()
    prompt = Prompt.objects.get()
    assert (prompt.state, prompt.use_case, writing_of(prompt).written) == ("accepted", "chat", second)
    # Run late, the job of the correction finds it settled.
    assert admit(written=second).prompt == prompt
    prompt.refresh_from_db()
    assert prompt.state == "accepted"


def test_a_review_of_what_was_corrected_meanwhile_lets_nothing_in(written, bo):
    lease = grant_lease(labeler=bo)
    correct(written, text="Another.")
    review(lease)
    assert [result["reason"] for result in run_jobs()] == ["corrected", "waits_for_review", "corrected"]
    assert pool() == []


def test_what_the_team_dropped_stays_dropped(written, bo, amy):
    given = review(grant_lease(labeler=bo))
    run_jobs()
    decide_prompt(prompt_id=Prompt.objects.get().pk, outcome="drop", decided_by=amy, reason="no good")
    given = correct_review(given, verdict="send_back", note="No.")
    run_jobs()
    correct_review(given, verdict="accept")
    assert run_jobs()[-1]["reason"] == "duplicate"
    assert Prompt.objects.get().state == "dropped"


def test_what_was_held_comes_back_held(ada, batch, bo):
    factories.make_brief(batch=batch)
    submit(grant_lease(labeler=ada), {**PLAIN, "text": "Write to ada.lovelace@gmail.com for me."})
    given = review(grant_lease(labeler=bo))
    run_jobs()
    given = correct_review(given, verdict="send_back", note="No.")
    run_jobs()
    assert Prompt.objects.get().state == "dropped"
    correct_review(given, verdict="accept")
    run_jobs()
    assert Prompt.objects.get().state == "held"


def test_a_late_review_decides_nothing(written, bo, pass_time):
    lease = grant_lease(labeler=bo)
    pass_time(minutes=600)
    leasing.expire_leases()
    di = User.objects.create_user("di", password=None, role="labeler", group="training")
    review(grant_lease(labeler=di), "send_back", note="No.")
    late = review(Lease.objects.get(pk=lease.pk))
    assert late.surplus
    assert {result["reason"] for result in run_jobs()} == {"sent_back"}
    assert pool() == []


@pytest.mark.parametrize("who", ["hal", "sim"])
def test_what_held_out_labelers_and_programs_review_stays_out(ada, who, request):
    person = request.getfixturevalue(who)
    factories.make_brief(batch=factories.make_reviewed_batch(kind="prompt", groups=["training"]))
    written = submit(grant_lease(labeler=ada), PLAIN)
    factories.make_review(written_prompt=written, labeler=person)
    assert admit(written=written).reason == person.group
    assert pool() == []


@pytest.mark.django_db(transaction=True)
def test_admission_run_by_many_at_once_settles_on_the_last_word(written, bo):
    first = review(grant_lease(labeler=bo))
    admit(written=written)
    edited = correct_review(first, verdict="edit", text="Write two.")
    second = correct(written, text="Write a song.")
    lease = grant_lease(labeler=bo)
    review(lease)
    gate, found = threading.Barrier(6), []

    def run(one: WrittenPrompt) -> None:
        gate.wait()
        try:
            found.append((one.revision, admit(written=one).reason))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[one]) for one in (written, second) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(1, "corrected")] * 3 + [(2, "")] * 3
    assert pool() == ["Write a song."]
    assert Admission.objects.filter(review=edited).count() == Admission.objects.filter(written=second).count() == 1


# Pages


def test_pages_say_what_became_of_it(few_shot, batch, ada, bo, rita, page):
    User.objects.filter(pk=bo.pk).update(display_name="Bo Belmont")
    lease = grant_lease(labeler=bo)
    shown = page(bo).get(f"/work/{lease.pk}/").content.decode()
    for words in ("Review a prompt", "What was wanted", "Query of example 2", "The last query", "Classification"):
        assert words in shown
    assert "waits for its review" in page(ada).get(f"/answers/{few_shot.lease_id}/").content.decode()
    given = review(lease, "send_back", note="Which <i>feeling</i>?")
    run_jobs()
    for address in ("/work/", f"/work/{few_shot.lease_id}/", f"/answers/{few_shot.lease_id}/"):
        shown = page(ada).get(address).content.decode()
        assert "Which &lt;i&gt;feeling&lt;/i&gt;?" in shown and "Belmont" not in shown
    shown = page(bo).get(f"/answers/{lease.pk}/").content.decode()
    assert "Say how it feels." in shown and "Response of example 1" in shown
    turns = [{**TURNS[0], "content": "Judge the <b>mood</b>."}, *TURNS[1:]]
    correct_review(given, verdict="edit", turns=turns, text="Fog.")
    run_jobs()
    staff = page(rita)
    for client, address in (
        (page(ada), f"/answers/{few_shot.lease_id}/"),
        (page(bo), f"/answers/{lease.pk}/"),
        (staff, f"/batches/{batch.pk}/written/"),
    ):
        shown = client.get(address).content.decode()
        assert "Judge the &lt;b&gt;mood&lt;/b&gt;." in shown and "Response of example 2" in shown
    assert "Reviewed by Bo Belmont" in shown and "in the pool" in shown
    shown = staff.get(f"/prompts/{Prompt.objects.get().pk}/").content.decode()
    assert "Bo Belmont, who edited it" in shown
    progress = progress_of(batch)
    assert (progress.waiting, progress.accepted, progress.edited, progress.sent_back) == (0, 0, 1, 0)
    assert [(one.author, one.reviewed, one.accepted) for one in progress.authors] == [(ada, 1, 0)]
    assert "Accepted unchanged" in staff.get(f"/batches/{batch.pk}/").content.decode()


def test_the_form_without_a_script_edits_each_part(few_shot, bo, page):
    lease = grant_lease(labeler=bo)
    texts = ["Judge it.", "Rain.", "bad", "Sun!\r\nYes.", "good", "Fog."]
    sent = {"verdict": "edit", "turn": texts, "note": "", "idempotency_key": "k", "revision": "1", "replaces": ""}
    assert page(bo).post(f"/work/{lease.pk}/submit/", sent).status_code == 302
    given = Review.objects.get()
    assert given.conversation == [
        {**TURNS[0], "content": "Judge it."},
        *TURNS[1:],
        {"role": "query", "content": "Fog."},
    ]


def test_the_teams_page_costs_the_same_however_much_there_is(batch, ada, bo, rita, page, django_assert_max_num_queries):
    for number in range(4):
        factories.make_brief(batch=batch)
        submit(grant_lease(labeler=ada), {**PLAIN, "text": f"one {number}"})
        review(grant_lease(labeler=bo), "edit", text=f"two {number}")
    run_jobs()
    client = page(rita)
    with django_assert_max_num_queries(17):
        assert client.get(f"/batches/{batch.pk}/written/").content.decode().count("Reviewed by") == 4


def test_batches_are_made_reviewed_by_page_and_api(rita, page, api):
    form = {
        "name": "by page",
        "plain": 1,
        "few_shot": 0,
        "pairs": 2,
        "spread": "none",
        "overlap": 1,
        "groups": ["training"],
        "priority": 3,
        "seed": 1,
        "review": "on",
    }
    assert page(rita).post("/batches/new/written/", form).status_code == 302
    made = api(rita).post(
        "/api/v1/batches/", {"name": "by api", "kind": "prompt", "plain": 1, "review": True}, format="json"
    )
    assert (made.status_code, made.json()["review"]) == (201, True)
    listed = {one["name"]: one for one in api(rita).get("/api/v1/batches/").json()["results"]}
    assert listed["by page · review"]["review_of"] == listed["by page"]["id"]
    assert (listed["by page · review"]["groups"], listed["by page · review"]["priority"]) == (["training"], 3)
    again = api(rita).post(
        "/api/v1/batches/", {"name": "by api", "kind": "prompt", "plain": 1, "review": True}, format="json"
    )
    assert again.status_code == 409 and "by api · review" in again.json()["error"]["message"]
