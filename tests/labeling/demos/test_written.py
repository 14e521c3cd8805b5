"""What was written, for the team: who, how much, and which share of it was pasted."""

from __future__ import annotations

import uuid

import pytest

from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def written(ada, bo):
    answer = factories.make_demonstration(
        prompt=factories.make_prompt("Why <b>?"), labeler=ada, text="It isn't <b>so</b>.", pasted=19
    )
    turns = ["One two", "Three"]
    return answer, factories.make_demonstration(
        prompt=factories.make_prompt(), labeler=bo, turns=turns, text="Four", pasted=4
    )


def test_staff_see_words_and_the_share_that_was_pasted(written, rita, ada, page):
    answer, dialogue = written
    assert (answer.words, answer.pasted_share) == (5, 1.0)
    assert (dialogue.words, dialogue.pasted_share) == (4, 0.25)
    client = page(rita)
    listed = client.get("/written/").content.decode()
    assert "100.0 %" in listed and "25.0 %" in listed and "Why <b>" not in listed
    assert listed.index(str(dialogue.pk)) < listed.index(str(answer.pk))
    of_ada = client.get(f"/written/?labeler={ada.pk}").content.decode()
    assert str(answer.pk) in of_ada and str(dialogue.pk) not in of_ada
    one = client.get(f"/written/{answer.pk}/").content.decode()
    assert "100.0 %" in one and "&lt;b&gt;so" in one and "<b>so" not in one
    both = client.get(f"/written/{dialogue.pk}/").content.decode()
    assert all(text in both for text in ("One two", "Three", "Four"))
    item = dialogue.task.item
    assert f"/written/{dialogue.pk}/" in client.get(f"/batches/{item.batch_id}/items/{item.pk}/").content.decode()


def test_labelers_see_no_share(written, ada, page, api):
    answer, _ = written
    client = page(ada)
    for path in ("/written/", f"/written/{answer.pk}/"):
        assert client.get(path).status_code == 403
    assert "100.0 %" not in client.get(f"/answers/{answer.lease_id}/").content.decode()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/written/?labeler=x", 400),
        ("/written/?labeler=999999", 404),
        (f"/written/?labeler={'9' * 5000}", 400),
        ("/written/?after=x", 400),
        (f"/written/{uuid.uuid4()}/", 404),
    ],
)
def test_what_is_not_there_is_said_so(rita, page, path, status):
    assert page(rita).get(path).status_code == status


def test_pages_of_the_list_cost_the_same(rita, ada, page, django_assert_max_num_queries):
    for _ in range(52):
        factories.make_demonstration(prompt=factories.make_prompt(), labeler=ada, text="x")
    client = page(rita)
    with django_assert_max_num_queries(6):
        first = client.get("/written/")
    assert len(first.context["page"]) == 50
    second = client.get(f"/written/?after={first.context['page'].next}")
    assert (len(second.context["page"]), second.context["page"].next) == (2, None)
