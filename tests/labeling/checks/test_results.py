"""Sets from researchers' answers, answers compared, alerts raised once and acknowledged."""

from __future__ import annotations

import pytest
from django.utils import timezone

from labeling.adjudication.services import answers_to
from labeling.audit.models import AuditEvent
from labeling.checks import services
from labeling.checks.models import CheckAlert, CheckResult, CheckSet
from labeling.checks.queries import answers_beside, charts_of, get_result
from labeling.forms.models import Form
from labeling.forms.queries import newest_version
from labeling.refusals import Conflict, Refusal
from tests import factories
from tests.labeling.checks.conftest import BAD, GOOD, answer_check, copy_of, rate, rate_check

pytestmark = pytest.mark.django_db(transaction=True)


def dip(held, labeler) -> None:
    """A good week two weeks ago, then a bad one now."""
    items = list(held.items.order_by("id"))
    for number, item in enumerate(items):
        answer_check(item, labeler, GOOD if number < 6 else BAD, days_ago=14 if number < 6 else 0)


def test_a_set_has_what_all_its_researchers_agree_on(rita, amy, ada):
    batch = factories.make_batch(overlap=3)
    both, one, none = (factories.make_task(batch=batch) for _ in range(3))
    ray = type(rita).objects.create_user("ray", password=None, role="researcher", group="researcher")
    factories.make_ranking(task=both, labeler=rita, ranks=[1, 2, 3, 4])
    factories.make_ranking(task=both, labeler=ray, ranks=[1, 3, 2, 2])
    factories.make_ranking(task=one, labeler=rita)
    factories.make_ranking(task=none, labeler=ada)
    with pytest.raises(Refusal):
        services.make_set(name="S", batch=batch, groups=["training"], researchers=3, actor=amy)
    held = services.make_set(name="S", batch=batch, groups=["training"], researchers=2, actor=amy)
    item = held.items.get()
    assert item.task == both
    assert len(item.rankings) == 2
    # 1 before 2, 3 and 4; of the others they disagree, or one ties them.
    assert len(item.pairs) == 3
    assert AuditEvent.objects.get(action="check_set.made").detail["items"] == 1
    # What is in a set already is left to it, and the name is taken.
    again = services.make_set(name="T", batch=batch, groups=["training"], actor=amy)
    assert [item.task for item in again.items.all()] == [one]
    factories.make_ranking(task=none, labeler=rita)
    with pytest.raises(Conflict):
        services.make_set(name="T", batch=batch, groups=["training"], actor=amy)


def test_a_set_of_single_completions_has_ratings_within_the_tolerance_and_flags_that_all_set_alike(rita, amy):
    batch = factories.make_batch(overlap=3, form=Form.objects.get(name="likert"))
    near, far, nothing = (factories.make_task(batch=batch, texts=("Alone.",)) for _ in range(3))
    ray = type(rita).objects.create_user("ray", password=None, role="researcher", group="researcher")
    for task, ratings in ((near, (4, 5)), (far, (2, 6))):
        rate(task, rita, ratings[0], ["hallucination"])
        rate(task, ray, ratings[1], ["hallucination", "opinion"])
    factories.make_ranking(task=nothing, labeler=rita, ranks=[None])
    factories.make_ranking(task=nothing, labeler=ray, ranks=[None])
    held = services.make_set(name="S", batch=batch, groups=["training"], researchers=2, actor=amy)
    assert (held.form.name, held.tolerance) == ("likert", 1)
    one, two = held.items.order_by("task_id") if near.pk < far.pk else held.items.order_by("-task_id")
    (text,) = one.ratings
    assert (one.pairs, one.ratings[text], two.ratings) == ([], [4, 5], {})
    # All eleven flags but the one that only one of them set.
    assert len(one.flags[text]) == 10
    assert one.flags[text]["hallucination"] is True
    assert one.flags[text]["sexual"] is False
    for odd in (-1, 4, True, "1"):
        with pytest.raises(Refusal, match="tolerance"):
            services.make_set(name="T", batch=batch, groups=["training"], tolerance=odd, actor=amy)


def test_pairs_make_a_set_and_are_compared(rita, amy, ada):
    form = Form.objects.get(name="pairs")
    batch = factories.make_batch(overlap=2, form=form, state="closed")
    task = factories.make_task(batch=batch, texts=("One.", "Two."))
    factories.make_ranking(task=task, labeler=rita, ranks=[1, 2], strength=2, form_version=newest_version(form.pk))
    held = services.make_set(name="P", batch=batch, groups=["training"], actor=amy)
    item = held.items.get()
    assert (held.form.name, len(item.pairs), item.ratings, item.flags) == ("pairs", 1, {}, {})
    answer_check(item, ada, [2, 1])
    services.score()
    result = CheckResult.objects.get()
    assert (result.agreed, result.compared, result.ratings_compared, result.flags_compared) == (0, 1, 0, 0)


def test_ratings_and_flags_are_compared_within_the_tolerance(ada, bo, make_likert_set):
    item = make_likert_set(items=1).items.get()
    rate_check(item, ada, 6, ["hallucination", "opinion"])
    rate_check(item, bo, 2, [])
    services.score()
    found, other = CheckResult.objects.order_by("labeler__username")
    assert (found.compared, found.ratings_agreed, found.ratings_compared, found.rating_shift) == (0, 1, 1, 1.0)
    assert (found.flags_agreed, found.flags_compared) == (10, 11)
    assert (other.ratings_agreed, other.ratings_compared, other.rating_shift) == (0, 1, -3.0)
    assert (other.flags_agreed, other.flags_compared) == (10, 11)
    assert set(charts_of(ada)) == {"ratings", "flags", "leniency"}


def test_an_anchor_shows_how_far_ratings_moved(ada, make_likert_set):
    item = make_likert_set(items=1).items.get()
    rate_check(item, ada, 5, days_ago=50)
    services.score()
    rate_check(item, ada, 7, kind="anchor", task=copy_of(item, 2))
    services.score()
    again = CheckResult.objects.get(turn__kind="anchor")
    assert (again.ratings_same, again.ratings_same_of, again.rating_moved) == (0, 1, 2.0)
    assert CheckResult.objects.get(turn__kind="gold").rating_moved is None


def test_who_grows_mild_within_the_tolerance_raises_an_alert_of_leniency_alone(ada, bo, make_likert_set, rita, page):
    held = make_likert_set(items=22)
    for number, item in enumerate(held.items.order_by("id")):
        rate_check(item, bo, 5, days_ago=8)
        rate_check(item, ada, 5 if number < 10 else 6, days_ago=14 if number < 10 else 0)
    services.keep_up()
    # Of two people each is the other's team: Bo, whose ratings are the researchers', is below what has become usual.
    alert = CheckAlert.objects.get(labeler=ada)
    assert (alert.measure, alert.shift) == ("leniency", 1.0)
    assert (alert.agreed, alert.compared) == (12, 12)
    assert 0 < alert.limit < alert.shift
    assert services.raise_alerts({ada.pk}) == 0
    shown = page(rita).get(f"/checks/people/{ada.pk}/").content.decode()
    assert "ratings +1.00 points from the researchers" in shown
    assert shown.count("plot-drawing") == 3


@pytest.mark.parametrize("wrong", [{"name": " "}, {"name": 7}, {"groups": []}, {"groups": ["researcher"]}])
def test_no_set_is_made_of_nonsense(rita, amy, wrong):
    batch = factories.make_batch()
    factories.make_ranking(task=factories.make_task(batch=batch), labeler=rita)
    with pytest.raises(Refusal):
        services.make_set(**{"name": "S", "batch": batch, "groups": ["training"], "actor": amy, **wrong})
    assert not CheckSet.objects.exists()


def test_an_answer_is_compared_once_and_its_correction_takes_its_place(ada, make_set):
    item = make_set(items=1).items.get()
    first = answer_check(item, ada, [1, 2, 4, 4], days_ago=3)
    assert services.score() == (1, {ada.pk})
    assert services.score() == (0, set())
    result = CheckResult.objects.get()
    assert (result.agreed, result.compared) == (5, 5)
    corrected = type(first).objects.create(
        **{name: getattr(first, name) for name in ("lease", "task", "labeler", "group", "payload_sha256")},
        **{"order_shown": first.order_shown, "revision": 2, "replaces": first, "idempotency_key": "again"},
    )
    for rank, judgment in enumerate(first.judgments.order_by("-id"), start=1):
        corrected.judgments.create(completion=judgment.completion, rank=rank)
    assert services.score()[0] == 1
    result.refresh_from_db()
    assert (result.agreed, result.compared) == (0, 6)
    assert result.answered_at == first.created_at


def test_an_answer_without_an_order_compares_nothing_and_is_not_asked_for_again(ada, make_set):
    item = make_set(items=1).items.get()
    answer_check(item, ada, [1, 1, 1, 1])
    assert services.score()[0] == 1
    assert services.score()[0] == 0
    assert CheckResult.objects.get().compared == 0
    assert charts_of(ada) == {}


def test_an_anchor_is_compared_with_the_answer_before_it(ada, make_set):
    item = make_set(items=1).items.get()
    answer_check(item, ada, BAD, days_ago=50)
    services.score()
    answer_check(item, ada, [4, 3, 1, 2], kind="anchor", task=copy_of(item, 2))
    services.score()
    again = CheckResult.objects.get(turn__kind="anchor")
    assert (again.agreed, again.compared) == (1, 6)
    assert (again.same, again.same_of) == (5, 6)


def test_a_dip_raises_one_alert_with_the_items_behind_it(ada, bo, rita, make_set):
    held = make_set(items=12)
    dip(held, ada)
    for item in held.items.order_by("id")[:6]:
        answer_check(item, bo, GOOD, days_ago=1)
    assert services.keep_up()["alerts"] == 1
    alert = CheckAlert.objects.get()
    assert (alert.labeler, alert.agreed, alert.compared) == (ada, 0, 36)
    assert {"limit", "level"} <= set(alert.reasons)
    assert alert.week <= timezone.now().date()
    assert services.raise_alerts({ada.pk, bo.pk}) == 0
    turn = ada.check_turns.order_by("-served_at").first()
    answers, rows = answers_beside(get_result(turn.pk))
    assert [answer.labeler for answer in answers] == [ada, rita]
    assert [row.ranks for row in rows] == [[4, 1], [3, 2], [2, 3], [1, 4]]


def test_an_alert_is_acknowledged_once_with_a_note(ada, amy, make_set):
    dip(make_set(items=12), ada)
    services.keep_up()
    alert = CheckAlert.objects.get()
    with pytest.raises(Refusal):
        services.acknowledge(alert_id=alert.pk, note="  ", actor=amy)
    services.acknowledge(alert_id=alert.pk, note="They were ill.", actor=amy)
    with pytest.raises(Conflict):
        services.acknowledge(alert_id=alert.pk, note="Again.", actor=amy)
    assert AuditEvent.objects.get(action="check_alert.acknowledged").detail["note"] == "They were ill."
    # The same dip raises no other.
    assert services.raise_alerts({ada.pk}) == 0


def test_answers_to_checks_are_no_case_of_adjudication(ada, bo, make_set):
    item = make_set(items=1).items.get()
    for person in (ada, bo):
        answer_check(item, person, BAD)
    assert [answer.labeler.username for answer in answers_to([item.task_id])] == ["rita"]
