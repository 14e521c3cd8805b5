"""Sampling from the real model server, as a job."""

import pytest

from labeling import jobs
from labeling.blindness.services import decide_completion
from labeling.sampling.choosing import Selection
from labeling.sampling.models import Completion, Provenance
from labeling.sampling.services import ask_for_check, create_batch, start_sampling
from tests.factories import make_endpoint, make_prompt

pytestmark = pytest.mark.django_db


def test_job_fills_a_batch_and_opens_its_tasks(model_server, rita):
    make_prompt("Name a yellow fruit.")
    make_prompt("Write a line about the sea.")
    endpoint = make_endpoint("smol", base_url=model_server.url, model=model_server.model)
    batch = create_batch(
        name="first round",
        endpoints=[endpoint],
        k=4,
        overlap=2,
        seed=7,
        max_tokens=24,
        prompts=Selection(),
        created_by=rita,
    )
    job = start_sampling(batch=batch, actor=rita)
    assert start_sampling(batch=batch, actor=rita).pk == job.pk
    job = jobs.run_now(str(job.pk))
    assert job.state == "done", job.error
    assert job.result == {"items": 2, "filled": 2, "failed": 0}
    assert (job.done, job.total) == (2, 2)
    # This model likes to introduce itself, and what it names waits for a look.
    named = Completion.objects.filter(item__batch=batch, marks__state="waiting").distinct()
    assert batch.tasks.count() == 2 - named.values("item").distinct().count()
    for completion in list(named):
        decide_completion(completion_id=completion.pk, outcome="allowed", actor=rita)
    assert batch.tasks.count() == 2
    assert batch.tasks.first().seats.count() == 2
    for item in batch.items.all():
        assert item.completions.count() == 4
    entry = Provenance.objects.first()
    assert entry.model == model_server.model
    assert entry.tokens > 0
    assert entry.logprob < 0
    texts = set(Completion.objects.values_list("text", flat=True))

    # The same seed on the same prompts, whatever else was asked meanwhile.
    again = create_batch(name="again", endpoints=[endpoint], k=4, seed=7, max_tokens=24)
    assert jobs.run_now(str(start_sampling(batch=again, actor=rita).pk)).state == "done"
    assert set(Completion.objects.filter(item__batch=again).values_list("text", flat=True)) == texts


def test_check_of_the_real_server(model_server, rita):
    endpoint = make_endpoint(base_url=model_server.url, model=model_server.model)
    job = ask_for_check(endpoint=endpoint, actor=rita)
    endpoint.refresh_from_db()
    assert endpoint.checking
    assert jobs.run_now(str(job.pk)).result == {"error": ""}
    endpoint.refresh_from_db()
    assert not endpoint.checking
