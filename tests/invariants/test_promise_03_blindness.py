"""3. Labelers never learn which model wrote what, nor what others answered; their order is their own and stored."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now
from django.urls import URLPattern, URLResolver, get_resolver

from labeling.blindness.services import decide_completion
from labeling.demos.models import Demonstration, Suggestion
from labeling.leasing.models import Lease
from labeling.leasing.services import open_tasks
from labeling.rankings.models import Ranking
from labeling.rankings.services import submit_ranking
from labeling.sampling.models import Provenance
from labeling.sampling.services import create_batch, fill_batch
from tests import factories
from tests.labeling.sampling.conftest import scripted  # noqa: F401, a fixture

pytestmark = pytest.mark.django_db

# Each string appears in the database alone, where only staff may read it.
SECRETS = {
    "model": "secret-model",
    "other model": "another-secret-model",
    "seed": "918273645546",
    "parameter": "0.123454321",
    "finish reason": "secret-finish",
    "endpoint": "secret-endpoint",
    "server": "secret-host.example",
    "batch": "secret-batch",
    "note of another": "secret-note-of-bo",
    "demonstration of another": "secret-demonstration-of-bo",
    "source user": "secret-source-user",
}


def secrets_in(content: bytes) -> set[str]:
    text = content.decode("utf-8", "replace")
    return {what for what, secret in SECRETS.items() if secret in text}


def answer_to(lease: Lease, **more) -> dict:
    judged = [{"id": shown, "rank": 1, "rating": 4, "flags": []} for shown in lease.order_shown]
    return {"completions": judged, **more}


@pytest.fixture
def tasks(ada, bo):
    """A ranking and a demonstration, each answered by Bo already, with every secret behind them."""
    endpoint = factories.make_endpoint("secret-endpoint", model="secret-model", base_url="http://secret-host.example")
    prompt = factories.make_prompt("What is it?", user="secret-source-user")
    made = []
    for kind, texts in (("ranking", ("One.", "Two.")), ("demonstration", ())):
        suggestions = endpoint if kind == "demonstration" else None
        batch = factories.make_batch(kind=kind, overlap=2, name=f"secret-batch-{kind}", suggestions=suggestions)
        batch.endpoints.add(endpoint)
        made.append(factories.make_task(batch=batch, prompt=prompt, texts=texts))
    for completion in made[0].item.completions.all():
        Provenance.objects.create(
            completion=completion,
            endpoint=endpoint,
            model="another-secret-model",
            seed=918273645546,
            parameters={"temperature": 0.123454321},
            finish_reason="secret-finish",
        )
    lease = factories.make_lease(task=made[0], labeler=bo)
    submit_ranking(
        lease_id=lease.pk,
        labeler=bo,
        answer=answer_to(lease, note="secret-note-of-bo"),
        idempotency_key="bo",
    )
    lease = factories.make_lease(task=made[1], labeler=bo, state="submitted")
    Demonstration.objects.create(
        lease=lease,
        task=made[1],
        labeler=bo,
        group="training",
        idempotency_key="bo",
        payload_sha256="0" * 64,
        text="secret-demonstration-of-bo",
    )
    return made


def pages_without_arguments() -> list[str]:
    """Every address of Kwise that names nothing, the API's included."""

    def walk(patterns, prefix: str):
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, route)
            elif isinstance(pattern, URLPattern) and "<" not in route and "^" not in route:
                yield "/" + route

    return sorted(walk(get_resolver().url_patterns, ""))


def test_the_secrets_are_where_staff_can_read_them(tasks):
    assert secrets_in(" ".join(Provenance.objects.values_list("model", flat=True)).encode()) == {"model", "other model"}
    assert Ranking.objects.filter(note=SECRETS["note of another"]).exists()


def test_working_on_a_task_tells_nothing(tasks, ada, api, page):
    client, pages = api(ada), page(ada)
    seen = []
    for _ in tasks:
        task = client.post("/api/v1/tasks/next/")
        seen.append(task)
        body = task.json()
        address = f"/api/v1/tasks/{body['id']}/"
        lease = Lease.objects.get(pk=body["id"])
        answer = answer_to(lease, note="mine") if body["kind"] == "ranking" else {"text": "mine"}
        seen += [client.get(address), pages.get(f"/work/{body['id']}/"), pages.get("/work/")]
        seen.append(client.post(address + "heartbeat/"))
        seen.append(client.post(address + "draft/", {"version": 1, "draft": {}}, format="json"))
        seen.append(client.post(address + "submit/", {}, format="json", headers={"Idempotency-Key": "k"}))
        seen.append(pages.post(f"/work/{body['id']}/submit/", {"idempotency_key": "k"}))
        seen.append(client.post(address + "submit/", answer, format="json", headers={"Idempotency-Key": "k"}))
        seen.append(client.post(address + "submit/", answer, format="json", headers={"Idempotency-Key": "k2"}))
        seen += [pages.get(f"/answers/{body['id']}/"), pages.get(f"/work/{body['id']}/"), pages.get("/answers/")]
    assert {response.status_code for response in seen} == {200, 201, 400, 409}
    for response in seen:
        assert secrets_in(response.content) == set(), response.request["PATH_INFO"]


def test_no_page_that_a_labeler_may_open_tells_anything(tasks, ada, page):
    client = page(ada)
    opened = 0
    for address in pages_without_arguments():
        if "sign-out" in address:
            continue
        response = client.get(address, follow=True)
        content = b"".join(response.streaming_content) if response.streaming else response.content
        assert secrets_in(content) == set(), address
        opened += response.status_code == 200
    assert opened > 5


def test_a_suggestion_tells_nothing_of_who_wrote_it(tasks, ada, api, page):
    lease = factories.make_lease(task=tasks[1], labeler=ada)
    client, address = api(ada), f"/api/v1/tasks/{lease.pk}/"
    seen = [client.post(address + "suggestions/"), client.get(address), page(ada).get(f"/work/{lease.pk}/")]
    failed = {"seed": 918273645546, "parameters": {"temperature": 0.123454321}, "error": "secret-model is not there"}
    for state in ("writing", "done", "failed"):
        changes = failed | {"failure": "unavailable"} if state == "failed" else {}
        ended = {} if state == "writing" else {"ended_at": Now()}
        Suggestion.objects.filter(ended_at=None).update(state=state, text="Words.", **changes, **ended)
        seen += [client.get(address + "suggestions/"), client.get(address + "suggestions/1/?from=2")]
        seen.append(client.post(address + "suggestions/1/stop/" if state == "writing" else address + "suggestions/"))
        seen += [client.get(address + "suggestions/"), page(ada).get(f"/work/{lease.pk}/")]
        Suggestion.objects.filter(state="waiting").update(state="writing")
    answer = {"text": "mine", "suggestions": [1]}
    seen.append(client.post(address + "submit/", answer, format="json", headers={"Idempotency-Key": "k"}))
    seen += [client.get(address), client.post(address + "suggestions/"), page(ada).get(f"/answers/{lease.pk}/")]
    assert {response.status_code for response in seen} == {200, 201, 409}
    for response in seen:
        assert secrets_in(response.content) == set(), response.request["PATH_INFO"]


@pytest.mark.parametrize("outcome", ["allowed", "withheld"])
def test_a_completion_that_names_its_maker_reaches_no_labeler_undecided(scripted, ada, amy, api, outcome):  # noqa: F811
    texts = ["I am SmolLM, trained by Hugging Face.", "One.", "Two."]
    scripted.answer = lambda body: texts
    endpoint = factories.make_endpoint(base_url=scripted.url, model="HuggingFaceTB/SmolLM2-135M-Instruct")
    batch = create_batch(name="b", endpoints=[endpoint], prompts=[factories.make_prompt("Who?")], k=3)
    fill_batch(batch=batch, beat=lambda **_: None, stored=lambda: open_tasks(batch=batch))
    client = api(ada)
    assert client.post("/api/v1/tasks/next/").status_code == 204
    named = batch.items.get().completions.get(text=texts[0])
    decide_completion(completion_id=named.pk, outcome=outcome, actor=amy)
    shown = {one["text"] for one in client.post("/api/v1/tasks/next/").json()["completions"]}
    assert shown == set(texts[outcome == "withheld" :])


def test_each_labeler_gets_an_order_of_their_own_and_it_is_stored(db, api):
    from labeling.people.models import User

    task = factories.make_task(
        texts=[f"text {n}" for n in range(9)], batch=factories.make_batch(overlap=6), models=["m"] * 9
    )
    orders = []
    for number in range(6):
        shown = api(User.objects.create_user(f"labeler-{number}")).post("/api/v1/tasks/next/").json()
        orders.append([one["id"] for one in shown["completions"]])
        assert Lease.objects.get(pk=shown["id"]).order_shown == orders[-1]
        assert sorted(orders[-1]) == sorted(str(pk) for pk in task.item.completions.values_list("id", flat=True))
    assert len({tuple(order) for order in orders}) == 6  # 9! orders: two alike once in 24,000 runs
