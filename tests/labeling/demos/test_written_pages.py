"""Written prompts on the team's pages, over the API, and in exports."""

from __future__ import annotations

from pathlib import Path

import pytest

from labeling.demos.written import admit_written_prompt
from labeling.exports.services import create_dataset
from labeling.governance.services import decide_prompt
from labeling.leasing.models import Lease
from tests.factories import make_batch, make_brief, make_prompt, make_written_prompt
from training.formats import iter_rows

pytestmark = pytest.mark.django_db


def test_labelers_take_and_answer_briefs_over_the_api(api, ada):
    make_brief(form="few_shot", pairs=2, statement="", note="Short.")
    client = api(ada)
    task = client.post("/api/v1/tasks/next/").json()
    assert (task["kind"], task["messages"], task["completions"]) == ("prompt", [], [])
    assert task["brief"] == {"form": "few_shot", "use_case": "", "statement": "", "pairs": 2, "note": "Short."}
    pairs = [{"query": "a", "response": "1"}, {"query": "b", "response": "2"}]
    body = {"instruction": "Number it.", "pairs": pairs, "query": "c", "use_case": "other"}
    url = f"/api/v1/tasks/{task['id']}/submit/"
    refused = client.post(url, {**body, "use_case": "odd"}, format="json", headers={"Idempotency-Key": "k"})
    assert refused.status_code == 400 and "Choose the use case" in refused.json()["error"]["message"]
    assert client.post(url, body, format="json", headers={"Idempotency-Key": "k"}).status_code == 201
    assert client.post(url, body, format="json", headers={"Idempotency-Key": "k"}).status_code == 200
    assert client.get(f"/api/v1/tasks/{task['id']}/").json()["answer"] == {**body, "pasted": 0}


def test_the_form_is_shown_again_as_it_was_filled_in(page, ada):
    make_brief(form="few_shot", pairs=2)
    client = page(ada)
    lease = client.post("/work/next/").headers["Location"].split("/")[-2]
    sent = {"idempotency_key": "k", "use_case": "chat", "instruction": "<i>Count", "pair_query": ["a", ""]}
    answer = client.post(f"/work/{lease}/submit/", sent | {"pair_response": ["1\r\n2", ""], "query": "c"})
    said = answer.content.decode()
    assert answer.status_code == 400 and "Examples: 1" in said
    assert "&lt;i&gt;Count" in said and ">\n1\n2</textarea>" in said and 'value="chat" required checked' in said
    assert Lease.objects.get().state == "open"


def test_the_team_sees_who_wrote_what_and_what_became_of_it(page, ada, bo, rita):
    batch = make_batch(kind="prompt", groups=["training"])
    first = make_written_prompt(labeler=ada, task=make_brief(batch=batch), text="Plan <b>my</b> garden.")
    second = make_written_prompt(labeler=bo, task=make_brief(batch=batch), text="Plan <b>my</b> garden.")
    waiting = make_written_prompt(labeler=ada, task=make_brief(batch=batch), pasted=3)
    prompt = admit_written_prompt(written=first).prompt
    admit_written_prompt(written=second)
    said = page(rita).get(f"/batches/{batch.pk}/written/").content.decode()
    for words in ("in the pool", "the same text is there already", "waits for the gate", "3 characters pasted"):
        assert words in said
    assert waiting.content["text"] in said and "Plan &lt;b&gt;my&lt;/b&gt; garden." in said
    about = page(rita).get(f"/prompts/{prompt.pk}/").content.decode()
    assert "Written here by" in about and "ada, " in about
    assert "Written here by" not in page(rita).get(f"/prompts/{make_prompt().pk}/").content.decode()
    assert page(ada).get(f"/batches/{batch.pk}/written/").status_code == 403
    assert page(rita).get("/batches/999/written/").status_code == 404


def test_the_writer_sees_what_became_of_it(page, ada, bo, rita):
    written = make_written_prompt(labeler=ada, text="Plan my garden.")
    answer = f"/answers/{written.lease_id}/"
    assert "waits for the gate" in page(ada).get(answer).content.decode()
    prompt = admit_written_prompt(written=written).prompt
    assert "in the pool" in page(ada).get(answer).content.decode()
    decide_prompt(prompt_id=prompt.pk, outcome="drop", decided_by=rita, reason="x")
    assert "dropped from the pool" in page(ada).get(answer).content.decode()
    assert page(bo).get(answer).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_accepted_written_prompts_are_exported_like_any(ada):
    batch = make_batch(kind="prompt", name="written", groups=["training"])
    for text in ("Plan my garden.", "Mail ada.lovelace@gmail.com for me."):
        admit_written_prompt(written=make_written_prompt(labeler=ada, task=make_brief(batch=batch), text=text))
    make_prompt("From elsewhere.")

    def exported(**question) -> dict[str, dict]:
        folder = Path(create_dataset(kind="prompts", question=question).folder)
        rows = [row for split in ("train", "valid", "test") for row in iter_rows(folder, split)]
        return {row["messages"][0]["content"]: row for row in rows}

    whole = exported()
    assert set(whole) == {"Plan my garden.", "From elsewhere."}
    assert (whole["Plan my garden."]["source"], whole["Plan my garden."]["use_case"]) == ("labelers", "chat")
    assert set(exported(sources=["labelers"])) == set(exported(batches=["written"])) == {"Plan my garden."}
