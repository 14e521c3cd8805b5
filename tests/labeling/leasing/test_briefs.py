"""A task may have no prompt yet: the queue, its pages and a question about it work all the same."""

from __future__ import annotations

import pytest

from labeling.leasing import services
from labeling.leasing.services import grant_lease
from labeling.questions.services import ask
from labeling.refusals import Refusal
from labeling.sampling.models import BatchItem
from labeling.sampling.services import create_batch, repeat_batch
from tests.factories import make_batch, make_brief, make_lease, make_prompt, make_task

pytestmark = pytest.mark.django_db


def test_briefs_are_opened_without_a_prompt(rita):
    batch = make_batch(kind="prompt", overlap=2)
    BatchItem.objects.create(batch=batch, brief={"form": "plain"}, k=0, state="filled")
    assert services.open_tasks(batch=batch) == 1
    assert services.open_tasks(batch=batch) == 0
    task = batch.tasks.get()
    assert (task.kind, task.seats.count(), task.seats.first().categories) == ("prompt", 2, [])
    assert (task.item.messages, task.item.categories) == ([], [])


def test_the_queue_gives_prompts_and_briefs_in_its_order(ada, bo):
    """Several briefs of a batch to one labeler; a prompt that was had still comes once."""
    briefs = make_batch(kind="prompt", priority=5)
    first, second = make_brief(batch=briefs), make_brief(batch=briefs, form="few_shot")
    prompt = make_prompt()
    ranked = make_task(prompt=prompt)
    make_task(prompt=prompt)  # in another batch: not for who ranked it
    last = make_brief(batch=make_batch(kind="prompt", priority=-5))
    seen = []
    while lease := grant_lease(labeler=ada):
        assert lease.task.item.prompt == (prompt if lease.task == ranked else None)
        assert lease.form_version is None or lease.task == ranked
        seen.append(lease.task)
        services.skip_lease(lease_id=lease.pk, labeler=ada, reason="next")
    assert seen == [first, second, ranked, last]
    mine = grant_lease(labeler=bo)
    assert (mine.task, services.get_own(lease_id=mine.pk, labeler=bo).task.item.prompt) == (first, None)
    behind = services.fetch_ahead(labeler=bo)
    assert behind.task == second
    services.return_lease(lease_id=mine.pk, labeler=bo)
    assert grant_lease(labeler=bo).task.item.brief["form"] in ("plain", "few_shot")


def test_pages_show_the_brief(ada, rita, amy, page):
    task = make_brief(form="user_based", statement="I plan <b>lessons</b>.", note="Short ones.")
    lease = make_lease(task=task, labeler=ada, state="submitted")
    for address in ("/work/", "/answers/"):
        assert "I plan &lt;b&gt;lessons&lt;/b&gt;." in page(ada).get(address).content.decode()
    question = ask(lease_id=lease.pk, labeler=ada, text="How long?")
    for person in (ada, rita):
        said = page(person).get(f"/questions/{question.pk}/").content.decode()
        assert "I plan &lt;b&gt;lessons&lt;/b&gt;." in said and "Short ones." in said
    batch = f"/batches/{task.batch_id}/"
    assert "I plan &lt;b&gt;lessons&lt;/b&gt;." in page(rita).get(batch).content.decode()
    assert "I plan &lt;b&gt;lessons&lt;/b&gt;." in page(amy).get(f"{batch}items/{task.item_id}/").content.decode()


def test_no_batch_of_prompts_is_made_of_prompts_nor_repeated(rita):
    make_prompt()
    with pytest.raises(Refusal, match="holds no prompts yet"):
        create_batch(name="written", kind="prompt")
    with pytest.raises(Refusal, match="in a new batch"):
        repeat_batch(batch=make_brief().batch, name="again", count=None, actor=rita)
