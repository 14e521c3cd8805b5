from __future__ import annotations

import pytest

from labeling.forms.queries import form_named
from labeling.leasing.models import Seat, Task
from labeling.leasing.services import grant_lease, open_tasks
from labeling.sampling.models import BatchItem, Completion
from tests import factories

pytestmark = pytest.mark.django_db


def fill(batch, *, texts=("a", "b"), state="filled") -> BatchItem:
    item = BatchItem.objects.create(
        batch=batch, prompt=factories.make_prompt(), k=max(len(texts), 2) if texts else 0, state=state
    )
    for number, text in enumerate(texts):
        Completion.objects.create(item=item, text=text, text_sha256=f"{number:064}")
    return item


def test_filled_items_become_tasks_with_overlap_seats():
    batch = factories.make_batch(overlap=3, priority=5, groups=["training"])
    for _ in range(2):
        fill(batch)
    fill(batch, state="waiting")
    assert open_tasks(batch=batch) == 2
    assert Task.objects.count() == 2
    seats = Seat.objects.values_list("number", "state", "batch", "groups")
    assert sorted(seats) == [(n, "free", batch.pk, ["training"]) for n in (0, 0, 1, 1, 2, 2)]


def test_opening_again_opens_only_what_is_new(django_assert_max_num_queries):
    batch = factories.make_batch()
    fill(batch)
    assert open_tasks(batch=batch) == 1
    fill(batch)
    assert open_tasks(batch=batch) == 1
    assert open_tasks(batch=batch) == 0
    assert Seat.objects.count() == 2


def test_opening_many_takes_few_queries(django_assert_max_num_queries):
    batch = factories.make_batch(overlap=2)
    for _ in range(20):
        fill(batch)
    with django_assert_max_num_queries(20):
        assert open_tasks(batch=batch) == 20


def test_what_cannot_be_worked_on_is_left_alone():
    batch = factories.make_batch()
    fill(batch, texts=("only one",))
    held = fill(batch)
    type(held.prompt).objects.filter(pk=held.prompt_id).update(state="held")
    assert open_tasks(batch=batch) == 0


@pytest.mark.parametrize(("form", "opened"), [("likert", 3), ("instructgpt", 2), ("pairs", 1)])
def test_an_order_needs_as_many_completions_as_it_can_take(form, opened):
    batch = factories.make_batch(form=form_named(form))
    for texts in (("a",), ("a", "b"), ("a", "b", "c")):
        fill(batch, texts=texts)
    assert open_tasks(batch=batch) == opened


def test_demonstrations_need_no_completions():
    batch = factories.make_batch(kind="demonstration")
    fill(batch, texts=())
    assert open_tasks(batch=batch) == 1
    assert Task.objects.get().kind == "demonstration"


def test_seats_of_imported_and_closed_batches_are_offered_to_nobody(ada):
    for change in ({"imported": True}, {"state": "closed"}):
        batch = factories.make_batch(**change)
        fill(batch)
        open_tasks(batch=batch)
    assert Seat.objects.filter(state="free").count() == 2
    assert grant_lease(labeler=ada) is None
