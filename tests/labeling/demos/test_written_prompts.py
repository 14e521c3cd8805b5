from __future__ import annotations

import threading

import pytest
from django.conf import settings
from django.db import connection

from labeling.background.models import Job
from labeling.demos.layout import messages_of
from labeling.demos.models import Admission, WrittenPrompt
from labeling.demos.written import admit_written_prompt, submit_written_prompt
from labeling.governance.models import Decision
from labeling.governance.services import import_prompts
from labeling.intake.models import Prompt, SourceUser
from labeling.jobs import run_now
from labeling.leasing.models import Lease
from labeling.leasing.services import AnsweredAlready, grant_lease
from labeling.refusals import Conflict, Refusal
from tests import factories

pytestmark = pytest.mark.django_db

FEW_SHOT = {
    "instruction": "Say how the tweet feels.",
    "pairs": [{"query": "Rain again.", "response": "Negative"}, {"query": "Sun!\nAt last.", "response": "Positive"}],
    "query": "It is Tuesday.",
    "use_case": "classification",
}


def plain(text: str = "Write a haiku.", **more) -> dict:
    return {"text": text, "use_case": "generation", **more}


def held(person, form: str = "plain", **brief) -> Lease:
    factories.make_brief(form=form, **brief)
    return grant_lease(labeler=person)


def submit(lease: Lease, answer: dict, key: str = "key-1") -> tuple[WrittenPrompt, bool]:
    return submit_written_prompt(lease_id=lease.pk, labeler=lease.labeler, answer=answer, idempotency_key=key)


def correct(first: WrittenPrompt, answer: dict, key: str = "key-2") -> WrittenPrompt:
    answer = {**answer, "replaces": str(first.pk), "reason": "a slip"}
    return submit(first.lease, answer, key)[0]


@pytest.fixture
def lease(ada) -> Lease:
    return held(ada)


# Taking it


def test_text_is_kept_to_the_byte_and_a_job_admits_it(lease):
    text = "\t Ünï\u202e \r\n 👩‍👩‍👧 '\"<b>%s{{ }} \n "
    written, created = submit(lease, plain(text, pasted=7, active_seconds=0))
    written.refresh_from_db()
    assert (created, written.content, written.form, written.use_case) == (True, {"text": text}, "plain", "generation")
    assert (written.pasted, written.group, written.origin, written.surplus) == (7, "training", "workbench", False)
    job = Job.objects.get(kind="admit_written_prompt")
    assert run_now(str(job.pk)).result == {"prompt": str(Prompt.objects.get().pk), "reason": ""}


def test_repeat_correction_and_conflict_are_as_for_demonstrations(lease):
    first, _ = submit(lease, plain("one"))
    assert submit(lease, plain("one")) == (first, False)
    with pytest.raises(Conflict):
        submit(lease, plain("two"))
    with pytest.raises(AnsweredAlready):
        submit(lease, plain("two"), "key-2")
    second = correct(first, plain("two"))
    assert (second.replaces, second.revision, second.correction_reason) == (first, 2, "a slip")
    assert Job.objects.filter(kind="admit_written_prompt").count() == 2


def test_pasted_is_at_most_what_there_is(lease):
    assert submit(lease, plain("four", pasted=100))[0].pasted == 4


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"use_case": "chat"}, "`text` must be text that you wrote, not null"),
        (plain(" \n"), "The prompt is empty"),
        (plain("x" * (settings.PROMPT_MAX_CHARACTERS + 1)), "Shorten it"),
        ({"text": "x"}, "Choose the use case"),
        (plain(use_case="odd"), "Choose the use case"),
        (plain(use_case=[]), "Choose the use case"),
        (plain(pasted=-1), "`pasted`"),
        (FEW_SHOT, "no field 'instruction'"),
    ],
)
def test_what_is_no_plain_prompt_is_refused(lease, answer, says):
    with pytest.raises(Refusal, match=says):
        submit(lease, answer)
    lease.refresh_from_db()
    assert lease.state == "open"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pairs": None}, "list of examples"),
        ({"pairs": FEW_SHOT["pairs"][:1]}, "Examples: 1; this task asks for 2 to 20"),
        ({"pairs": FEW_SHOT["pairs"] * 11}, "Examples: 22"),
        ({"pairs": ["a", "b"]}, "Example 1 must be an object"),
        ({"pairs": [{**FEW_SHOT["pairs"][0], "more": 1}] * 2}, "Example 1 must be an object"),
        ({"pairs": [FEW_SHOT["pairs"][0], {"query": "x", "response": " "}]}, "The response of example 2 is empty"),
        ({"instruction": ""}, "The instruction is empty"),
        ({"query": 5}, "`query` must be text"),
    ],
)
def test_what_is_no_few_shot_prompt_is_refused(ada, change, says):
    lease = held(ada, "few_shot", pairs=2)
    with pytest.raises(Refusal, match=says):
        submit(lease, FEW_SHOT | change)
    assert submit(lease, FEW_SHOT)[1]


def test_a_brief_may_want_more_examples(ada):
    with pytest.raises(Refusal, match="asks for 3 to 20"):
        submit(held(ada, "few_shot", pairs=3), FEW_SHOT)


def test_other_tasks_take_no_prompt(ada):
    factories.make_task()
    with pytest.raises(Refusal, match="asks for no prompt"):
        submit(grant_lease(labeler=ada), plain())


# Its messages


def test_few_shot_is_laid_out_as_documented():
    (message,) = messages_of("few_shot", FEW_SHOT)
    assert message == {
        "role": "user",
        "content": "Say how the tweet feels.\n\n"
        "Query: Rain again.\nResponse: Negative\n\n"
        "Query: Sun!\nAt last.\nResponse: Positive\n\n"
        "Query: It is Tuesday.\nResponse:",
    }
    assert messages_of("user_based", {"text": " x\n"}) == [{"role": "user", "content": " x\n"}]


# Into the pool


def test_a_written_prompt_is_in_the_pool_with_its_writer(ada):
    written, _ = submit(held(ada, "few_shot", pairs=2), FEW_SHOT)
    admission = admit_written_prompt(written=written)
    prompt = Prompt.objects.get()
    assert (admission.prompt, admission.reason) == (prompt, "")
    assert (prompt.state, prompt.use_case, prompt.consent) == ("accepted", "classification", "written for the team")
    assert (prompt.source.name, prompt.source_user.external_id) == ("labelers", f"labeler-{ada.pk}")
    assert (prompt.external_id, prompt.imported_in) == (str(written.pk), None)
    assert prompt.messages == messages_of("few_shot", written.content)
    assert prompt.source_user.prompt_count == 1
    assert admit_written_prompt(written=written) == admission
    assert Prompt.objects.count() == Admission.objects.count() == 1


def test_personal_data_is_held(lease):
    prompt = admit_written_prompt(written=submit(lease, plain("Write to ada.lovelace@gmail.com for me."))[0]).prompt
    assert (prompt.state, prompt.findings.get().kind) == ("held", "email")


def test_the_same_text_is_refused_with_its_reason(lease, bo):
    factories.make_prompt("Write a haiku.")
    admission = admit_written_prompt(written=submit(lease, plain())[0])
    assert (admission.prompt, admission.reason, admission.detail) == (
        None,
        "duplicate",
        "the same text is stored already",
    )
    assert Prompt.objects.count() == 1


def test_a_labeler_has_as_many_prompts_as_any_source_user(ada, settings):
    lease = held(ada)
    rows = [{"prompt": f"{n}", "source": "labelers", "user_id": f"labeler-{ada.pk}"} for n in range(200)]
    import_prompts(rows=enumerate(rows, 1), name="before")
    admission = admit_written_prompt(written=submit(lease, plain())[0])
    assert (admission.prompt, admission.reason) == (None, "user_cap")
    assert SourceUser.objects.get().prompt_count == 200


@pytest.mark.parametrize("who", ["hal", "sim"])
def test_what_held_out_labelers_and_programs_write_stays_out(who, request):
    person = request.getfixturevalue(who)
    batch = factories.make_batch(kind="prompt", groups=[person.group])
    written, _ = submit(held(person, batch=batch), plain())
    assert admit_written_prompt(written=written).reason == person.group
    assert not Prompt.objects.exists()


def test_a_correction_before_admission_replaces(lease):
    first, _ = submit(lease, plain("one"))
    second = correct(first, plain("two"))
    for _ in range(2):
        assert admit_written_prompt(written=first).reason == "corrected"
        assert admit_written_prompt(written=second).prompt.last_message == "two"
    assert Prompt.objects.get().state == "accepted"


def test_a_correction_after_admission_drops_the_old_prompt(lease, ada):
    first, _ = submit(lease, plain("one"))
    old = admit_written_prompt(written=first).prompt
    second = correct(first, plain("two", use_case="chat"))
    new = admit_written_prompt(written=second).prompt
    old.refresh_from_db()
    assert (old.state, new.state, new.last_message, new.use_case) == ("dropped", "accepted", "two", "chat")
    decision = Decision.objects.get()
    assert (decision.prompt, decision.decided_by) == (old, ada)
    assert decision.reason == "Corrected by its writer: a slip"
    assert admit_written_prompt(written=first).prompt == old


def test_a_correction_of_the_use_case_keeps_the_prompt(lease):
    first, _ = submit(lease, plain("one"))
    old = admit_written_prompt(written=first).prompt
    admission = admit_written_prompt(written=correct(first, plain("one", use_case="chat")))
    old.refresh_from_db()
    assert (admission.prompt, old.state, old.use_case) == (old, "accepted", "chat")
    assert not Decision.objects.exists()


def test_a_correction_that_is_refused_takes_the_old_prompt_along(lease):
    factories.make_prompt("two")
    first, _ = submit(lease, plain("one"))
    old = admit_written_prompt(written=first).prompt
    assert admit_written_prompt(written=correct(first, plain("two"))).reason == "duplicate"
    old.refresh_from_db()
    assert old.state == "dropped"


@pytest.mark.django_db(transaction=True)
def test_admission_run_by_many_at_once_admits_once(ada):
    lease = held(ada)
    first, _ = submit(lease, plain("one"))
    second = correct(first, plain("two"))
    gate, found = threading.Barrier(6), []

    def admit(written: WrittenPrompt) -> None:
        gate.wait()
        try:
            found.append((written.revision, admit_written_prompt(written=written).reason))
        finally:
            connection.close()

    threads = [threading.Thread(target=admit, args=[written]) for written in (first, second) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(1, "corrected")] * 3 + [(2, "")] * 3
    assert Prompt.objects.get().last_message == "two"
    assert SourceUser.objects.get().prompt_count == 1
