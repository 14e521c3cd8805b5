"""Forms in the database: versions that never change, and tasks that keep the one they were handed out with."""

from __future__ import annotations

import pytest

from labeling.audit.models import AuditEvent
from labeling.forms.built_in import BUILT_IN
from labeling.forms.models import Form
from labeling.forms.queries import form_named, newest_version
from labeling.forms.services import archive_form, create_form, ensure_built_in, publish_version
from labeling.leasing.services import grant_lease
from labeling.rankings.services import submit_ranking
from labeling.refusals import Conflict, NotFound, Refusal
from tests.factories import make_batch, make_task

pytestmark = pytest.mark.django_db
ASKS = {"order": "ranks", "completion": [], "prompt": []}
MORE = {**ASKS, "prompt": [{"kind": "flag", "name": "odd", "label": "Odd"}]}


def test_every_installation_has_the_built_in_forms():
    assert set(BUILT_IN) <= set(Form.objects.values_list("name", flat=True))
    before = newest_version(None)
    ensure_built_in()
    assert newest_version(None) == before


def test_a_change_is_a_new_version_and_the_old_one_stays(amy):
    first = create_form(name="kindness", title="Kindness", definition=ASKS, actor=amy)
    second = publish_version(form=first.form, title="Kindness", definition=MORE, based_on=1, actor=amy)
    first.refresh_from_db()
    assert (first.number, first.definition["prompt"]) == (1, [])
    assert (second.number, newest_version(first.form_id)) == (2, second)
    assert AuditEvent.objects.filter(action="form.published").count() == 1


def test_no_difference_is_no_version(amy):
    first = create_form(name="kindness", title="Kindness", definition=ASKS, actor=amy)
    assert publish_version(form=first.form, title="Be kind", definition=ASKS, based_on=1, actor=amy) == first
    assert Form.objects.get(pk=first.form_id).title == "Be kind"


def test_two_admins_at_one_form_do_not_overwrite_each_other(amy):
    first = create_form(name="kindness", title="Kindness", definition=ASKS, actor=amy)
    publish_version(form=first.form, title="Kindness", definition=MORE, based_on=1, actor=amy)
    with pytest.raises(Conflict, match="Version 2 was published while you worked on 1"):
        publish_version(form=first.form, title="Kindness", definition=ASKS, based_on=1, actor=amy)


def test_all_versions_ask_for_one_order(amy):
    first = create_form(name="kindness", title="Kindness", definition=ASKS, actor=amy)
    with pytest.raises(Refusal, match="make a new form for strength"):
        publish_version(
            form=first.form, title="Kindness", definition={**ASKS, "order": "strength"}, based_on=1, actor=amy
        )


@pytest.mark.parametrize("name", ["", "Two Words", "9lives", "x" * 41, None])
def test_a_name_that_is_none(amy, name):
    with pytest.raises(Refusal, match="The name of a form"):
        create_form(name=name, title="Kindness", definition=ASKS, actor=amy)


def test_a_name_that_is_taken(amy):
    with pytest.raises(Conflict, match="called pairs already"):
        create_form(name="pairs", title="Kindness", definition=ASKS, actor=amy)


def test_an_unknown_form_lists_those_there_are():
    archive_form(form=Form.objects.get(name="likert"), archived=True, actor=None)
    with pytest.raises(NotFound, match="choose among instructgpt, pairs, realtoxicityprompts"):
        form_named("nothing")


def test_a_task_keeps_the_version_it_was_handed_out_with(ada, amy):
    form = create_form(name="kindness", title="Kindness", definition=ASKS, actor=amy).form
    make_task(batch=make_batch(form=form))
    lease = grant_lease(labeler=ada)
    publish_version(form=form, title="Kindness", definition=MORE, based_on=1, actor=amy)
    ranks = [{"id": shown, "rank": 1} for shown in lease.order_shown]
    ranking, _ = submit_ranking(lease_id=lease.pk, labeler=ada, answer={"completions": ranks}, idempotency_key="first")
    assert (lease.form_version.number, ranking.form_version) == (1, lease.form_version)
    with pytest.raises(Refusal, match="unknown flag 'odd'"):
        submit_ranking(
            lease_id=lease.pk,
            labeler=ada,
            answer={"completions": ranks, "prompt": {"flags": ["odd"]}, "replaces": str(ranking.pk), "reason": "odd"},
            idempotency_key="second",
        )
