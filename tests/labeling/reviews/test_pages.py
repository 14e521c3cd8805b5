"""What author, reviewer and team read of reviews."""

from __future__ import annotations

import pytest

from labeling.leasing.services import grant_lease
from labeling.people.models import User
from labeling.reviews.queries import progress_of
from tests import factories
from tests.labeling.reviews.conftest import correct, review, write

pytestmark = pytest.mark.django_db


def test_the_author_reads_verdict_and_note_and_not_who_reviewed(answer, sent_back, ada, bo, page):
    User.objects.filter(pk=bo.pk).update(display_name="Bo Belmont")
    sent_back(note="Say <why> blue.")
    client = page(ada)
    for address in ("/work/", f"/work/{answer.lease_id}/", f"/answers/{answer.lease_id}/"):
        shown = client.get(address).content.decode()
        assert "Say &lt;why&gt; blue." in shown and "Belmont" not in shown and f">{bo.username}<" not in shown
    correct(answer, text="Since air scatters blue.")
    assert "sent back to you" not in client.get("/work/").content.decode()
    review(grant_lease(labeler=bo), "edit", text="Air scatters blue.")
    shown = client.get(f"/answers/{answer.lease_id}/").content.decode()
    assert "Air scatters blue." in shown and "Say &lt;why&gt; blue." in shown


def test_the_reviewer_reads_their_own_and_not_whose_answer_it_was(answer, lease, ada, bo, page):
    User.objects.filter(pk=ada.pk).update(display_name="Ada Abbott")
    review(lease, "edit", text="Because of <b>air</b>.")
    shown = page(bo).get(f"/answers/{lease.pk}/").content.decode()
    assert "Because of &lt;b&gt;air&lt;/b&gt;." in shown and "Because of the air." in shown and "Abbott" not in shown
    assert page(ada).get(f"/answers/{lease.pk}/").status_code == 404


def test_the_team_reads_how_far_the_reviews_are(batch, ada, bo, rita, page):
    for text in ("one", "two", "three", "four", "five"):
        factories.make_task(batch=batch, texts=())
        write(factories.make_lease(task=batch.tasks.order_by("-created_at").first(), labeler=ada), text)
    given = [grant_lease(labeler=bo)]
    back = review(given[0], "send_back", note="No.")
    review(grant_lease(labeler=bo), "edit", text="more")
    for _ in range(2):
        review(grant_lease(labeler=bo))
    progress = progress_of(batch)
    assert (progress.waiting, progress.accepted, progress.edited, progress.sent_back) == (1, 2, 1, 1)
    correct(back.demonstration, text="again")
    progress = progress_of(batch)
    assert (progress.waiting, progress.accepted, progress.edited, progress.sent_back) == (2, 2, 1, 0)
    (one,) = progress.authors
    assert (one.author, one.reviewed, one.accepted, one.share) == (ada, 4, 2, 0.5)
    shown = page(rita).get(f"/batches/{batch.pk}/").content.decode()
    assert "Accepted unchanged" in shown and "50.0" in shown
    assert batch.name in page(rita).get(f"/batches/{batch.review_batch.pk}/").content.decode()


def test_pages_cost_the_same_however_much_there_is(batch, ada, bo, rita, page, django_assert_max_num_queries):
    for _ in range(3):
        factories.make_task(batch=batch, texts=())
        write(grant_lease(labeler=ada), "x")
        review(grant_lease(labeler=bo), "send_back", note="n")
    for person, address, most in ((ada, "/work/", 21), (rita, f"/batches/{batch.pk}/", 25)):
        client = page(person)
        with django_assert_max_num_queries(most):
            client.get(address)


def test_batches_are_made_reviewed_by_page_and_api(rita, page, api):
    factories.make_prompt()
    form = {
        "name": "by page",
        "kind": "demonstration",
        "order": "random",
        "overlap": 1,
        "groups": ["training"],
        "priority": 0,
        "temperature": 1,
        "top_p": 1,
        "max_tokens": 256,
        "seed": 1,
        "review": "on",
    }
    assert page(rita).post("/batches/new/", form).status_code == 302
    made = api(rita).post("/api/v1/batches/", {"name": "by api", "kind": "dialogue", "review": True}, format="json")
    assert (made.status_code, made.json()["review"]) == (201, True)
    listed = api(rita).get("/api/v1/batches/").json()["results"]
    of = {one["name"]: one["review_of"] for one in listed}
    assert of["by api · review"] == made.json()["id"] and of["by page · review"] is not None
    refused = api(rita).post("/api/v1/batches/", {"name": "no", "kind": "review"}, format="json")
    assert refused.status_code == 400
