"""Publishing to a real embedded model server."""

from labeling import jobs
from labeling.audit.models import AuditEvent
from labeling.pipeline import services
from labeling.pipeline.models import Checkpoint
from labeling.sampling.models import Endpoint
from models_service.client import ModelClient
from tests.factories import make_prompt


def test_published_policy_is_an_endpoint_that_answers(base, tiny_server, settings, rita):
    settings.MODEL_SERVER_URL = tiny_server
    job = services.publish_checkpoint(checkpoint=base, by=rita)
    assert services.publish_checkpoint(checkpoint=base, by=rita) == job, "pressed twice, published once"
    ended = jobs.run_now(str(job.pk))
    assert (ended.state, ended.error) == ("done", "")
    base.refresh_from_db()
    assert (base.endpoint.name, base.endpoint.model, base.endpoint.active) == ("tiny", "tiny", True)
    assert base.published_at
    assert AuditEvent.objects.filter(action="model.published", subject_id=str(base.pk)).exists()
    with ModelClient(tiny_server) as client:
        assert {"first", "tiny"} <= set(client.models())

    # The next batch can come from it.
    from labeling.sampling.services import create_batch, fill_batch

    prompt = make_prompt("the cat?")
    batch = create_batch(name="next", endpoints=[base.endpoint], prompts=[prompt], k=4, max_tokens=8)
    assert fill_batch(batch=batch, beat=lambda **_: None)["filled"] == 1


def test_server_that_is_away_is_tried_again_later(base, settings, unused_port, monkeypatch):
    settings.MODEL_SERVER_URL = "http://127.0.0.1:9"
    monkeypatch.setattr("models_service.client.FIRST_PAUSE_SECONDS", 0.01)
    job = jobs.run_now(str(services.publish_checkpoint(checkpoint=base).pk))
    assert (job.state, job.attempt) == ("queued", 1)
    assert "does not answer" in job.error
    assert not Endpoint.objects.exists()


def test_folder_that_is_gone_is_refused_with_a_sentence(base, tiny_server, settings):
    settings.MODEL_SERVER_URL = tiny_server
    gone = Checkpoint.objects.create(name="gone", kind="policy", folder="/nowhere/at/all", weights_sha256="0" * 64)
    job = jobs.run_now(str(services.publish_checkpoint(checkpoint=gone).pk))
    assert (job.state, job.attempt) == ("failed", 1)
    assert "/nowhere/at/all" in job.error


def test_server_with_one_model_leaves_no_endpoint_that_lies(base, settings):
    """vLLM answers with the new weights under its one name: whoever stood for the old ones is switched off."""
    settings.MODEL_SERVER_URL = "http://127.0.0.1:9"
    before = Endpoint.objects.create(name="before", base_url=settings.MODEL_SERVER_URL, model="served")
    elsewhere = Endpoint.objects.create(name="elsewhere", base_url="http://127.0.0.1:10", model="served")
    made = services.name_endpoint(checkpoint=base, served_as="served")
    active = set(Endpoint.objects.filter(active=True))
    assert active == {made, elsewhere}
    assert before not in active
