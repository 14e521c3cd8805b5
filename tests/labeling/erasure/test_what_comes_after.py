"""What reaches an erased prompt afterwards is refused with a sentence, and what was erased does not come in again."""

from __future__ import annotations

import pytest
from django.urls import reverse

from labeling.governance import deciding, scanning
from labeling.governance.deciding import PromptErased
from labeling.governance.services import bring_back_prompt, import_prompts, take_back_prompt
from labeling.intake.models import Prompt, SourceUser
from labeling.leasing.models import Lease
from labeling.questions import services as questions
from tests.labeling.erasure.conftest import MARKER, USER, where_said
from tests.labeling.erasure.test_erase_person import erase

pytestmark = pytest.mark.django_db


def bring(*rows):
    return import_prompts(rows=enumerate(rows, 1), name="again.jsonl", source="api")


def test_every_act_of_a_labeler_at_it_is_refused(said, ada, bo, api):
    erase()
    held, answered = said.lease, said.ranking.lease
    clients = {held.pk: api(bo), answered.pk: api(ada)}
    body = {"completions": [{"id": one, "rank": 1, "rating": 2} for one in held.order_shown], "note": MARKER}
    for lease, client in clients.items():
        address = f"/api/v1/tasks/{lease}/"
        calls = [
            client.post(f"{address}submit/", body, format="json", headers={"Idempotency-Key": "late"}),
            client.put(f"{address}draft/", {"draft": {"note": MARKER}, "version": 9}, format="json"),
            client.post(f"{address}flag/", {"note": MARKER}, format="json"),
            client.post(f"{address}skip/", {"reason": MARKER}, format="json"),
        ]
        for answer in calls:
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "prompt_erased"), answer.content
    assert api(bo).get(f"/api/v1/tasks/{held.pk}/").json()["error"]["code"] == "prompt_erased"
    with pytest.raises(PromptErased):
        questions.ask(lease_id=answered.pk, labeler=ada, text=MARKER)
    assert where_said(MARKER) == []


def test_the_page_of_the_task_says_so(said, bo, client):
    client.force_login(bo)
    address = reverse("task", args=[said.lease.pk])
    assert client.get(address).status_code == 200
    erase()
    answer = client.get(address, follow=True)
    assert (answer.status_code, "was erased" in answer.content.decode()) == (200, True)
    assert client.post(f"{address}submit/", {"idempotency_key": "k"}).status_code == 409


def test_staff_decide_nothing_about_it_any_more(said, amy, rita, ada):
    erase()
    for act in (
        lambda: deciding.decide(prompt_id=said.prompt.pk, outcome="drop", decided_by=amy),
        lambda: deciding.undo(prompt_id=said.prompt.pk, decided_by=amy),
        lambda: deciding.flag(prompt_id=said.prompt.pk, by=ada, lease_id=None, marks=[], note="a name"),
        lambda: questions.reply(question_id=said.question.pk, author=rita, text="Of whom?"),
    ):
        with pytest.raises(PromptErased):
            act()
    prompt = Prompt.objects.get(pk=said.prompt.pk)
    # The jobs of written prompts come when they come.
    take_back_prompt(prompt=prompt, reason="Corrected", decided_by=ada)
    assert bring_back_prompt(prompt=prompt, reason="Accepted", decided_by=ada) is False
    scanning.rescan(beat=lambda **_: None)
    assert Prompt.objects.get(pk=prompt.pk).state == "erased"
    assert scanning.pending() == 0


def test_the_same_text_does_not_come_in_again(said):
    """A file that is imported once more brings nothing back; what they write later is taken, unless refused."""
    erase()
    done = bring(
        {"prompt": f"I am {MARKER}, why?", "user_id": USER, "external_id": f"{MARKER}-1"},
        {"prompt": "Something new", "user_id": "somebody-else"},
    )
    assert (done.accepted, done.rejected) == (1, {"erased": 1})
    assert where_said(f"I am {MARKER}") == []


def test_a_refused_person_is_known_by_a_hash_alone(said):
    erase(refuse=True)
    users = SourceUser.objects.count()
    done = bring({"prompt": "Something new of mine", "user_id": USER}, {"prompt": "Of another", "user_id": "other"})
    assert (done.accepted, done.rejected) == (1, {"person_erased": 1})
    assert SourceUser.objects.count() == users
    assert where_said(MARKER) == []


def test_a_person_who_comes_back_can_be_erased_again(said):
    erase()
    assert bring({"prompt": f"{MARKER} is back", "user_id": USER}).accepted == 1
    first = SourceUser.objects.get(pk=said.prompt.source_user_id)
    again = SourceUser.objects.get(external_id=USER)
    assert again.split == first.split or again.pk != first.pk
    assert erase().counts["prompt"] == 1
    assert where_said(MARKER) == []


def test_a_written_prompt_that_was_erased_is_not_admitted_anew(said):
    from labeling.demos.models import Admission
    from labeling.reviews.admitting import admit

    erase()
    Lease.objects.filter(pk=said.written.lease_id).update(erased=True)
    said.written.refresh_from_db()
    before = Prompt.objects.count()
    assert admit(written=said.written) is not None
    assert Prompt.objects.count() == before
    assert Admission.objects.filter(written=said.written).count() == 1
