"""Draws, whose answer it is, blindness, and verdicts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from labeling.audit.models import AuditEvent
from labeling.label_errors import queries, services
from labeling.label_errors.models import ErrorDraw, ErrorItem, ErrorVerdict, Suspicion
from labeling.refusals import Conflict, NotAllowed, Refusal
from tests.labeling.label_errors.test_suspicion import correct

pytestmark = pytest.mark.django_db


@pytest.fixture
def answers(ranked) -> list:
    """Ten tasks of three answers, the last of which is reversed in three of them."""
    made = [ranked((1, 2, 3), (1, 2, 3), (3, 2, 1) if number < 3 else (1, 2, 3)) for number in range(10)]
    services.refresh()
    return made


def draw(actor, *, size: int = 8, share: int = 50, seed: int = 5) -> ErrorDraw:
    return services.draw_answers(size=size, share=share, actor=actor, seed=seed)


def test_a_draw_mixes_the_worst_with_a_sample(rita, answers):
    made = draw(rita, size=6)
    items = list(made.items.order_by("position"))
    assert [item.position for item in items] == list(range(len(items)))
    suspicious = {item.ranking_id for item in items if item.suspicious}
    assert suspicious == {answers[number][2].pk for number in range(3)}
    assert sum(item.random for item in items) == 3
    assert all(len(item.pairs) == services.MARKED for item in items), "their number tells nothing"
    event = AuditEvent.objects.get(action="label_errors.drawn")
    assert (event.actor, event.detail["seed"]) == (rita, 5)


def test_a_seed_draws_the_same_again(rita, answers):
    asked = {"size": 8, "share": 50, "seed": 5, "actor": rita}
    drawn = ("ranking", "suspicious", "random")
    with transaction.atomic():
        # Without its own transaction, to be undone.
        first = list(services.draw_answers.__wrapped__(**asked).items.order_by("position").values_list(*drawn))
        transaction.set_rollback(True)
    assert list(services.draw_answers(**asked).items.order_by("position").values_list(*drawn)) == first


def test_other_seeds_draw_others(rita, answers):
    first = {item.ranking_id for item in draw(rita, size=10, share=0, seed=1).items.all()}
    again = {item.ranking_id for item in draw(rita, size=10, share=0, seed=2).items.all()}
    assert first.isdisjoint(again), "no answer is drawn twice"
    assert not Suspicion.objects.filter(drawn=False, ranking__in=first | again).exists()


def test_nothing_left_is_a_conflict(rita, answers):
    draw(rita, size=30, share=0)
    with pytest.raises(Conflict, match="no answer left"):
        draw(rita, size=1)
    for odd in ({"size": 0, "share": 50}, {"size": 1001, "share": 50}, {"size": 1, "share": 101}):
        with pytest.raises(Refusal):
            services.draw_answers(**odd, actor=rita)


def test_where_nothing_is_known_nothing_is_suspicious(rita, ranked):
    ranked((1, 2))
    services.refresh()
    made = draw(rita, size=2)
    assert list(made.items.values_list("suspicious", "random")) == [(False, True)]


def test_simulated_answers_only_when_asked(rita, sim, ranked):
    ranked((1, 2), people=[sim])
    services.refresh()
    with pytest.raises(Conflict):
        draw(rita)
    made = services.draw_answers(size=1, share=0, actor=rita, simulated=True)
    assert made.items.get().ranking.labeler == sim


def test_who_asks_again_gets_the_same(rita, amy, answers):
    draw(rita)
    first = services.claim_next(reviewer=rita)
    assert services.claim_next(reviewer=rita) == first
    second = services.claim_next(reviewer=amy)
    assert second != first
    assert (first.claimed_by, second.claimed_by) == (rita, amy)


def test_a_claim_that_ran_out_is_somebody_elses(rita, amy, answers):
    draw(rita)
    held = services.claim_next(reviewer=rita)
    ErrorItem.objects.filter(pk=held.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert services.claim_next(reviewer=amy) == held
    with pytest.raises(Conflict, match="not yours"):
        services.judge(item_id=held.pk, reviewer=rita, verdict="fine")


def test_late_is_taken_where_nobody_else_took_it(rita, answers):
    draw(rita)
    held = services.claim_next(reviewer=rita)
    ErrorItem.objects.filter(pk=held.pk).update(claimed_until=timezone.now() - timedelta(hours=1))
    assert services.judge(item_id=held.pk, reviewer=rita, verdict="fine").revision == 1


def test_nobody_looks_at_their_own(rita, amy, colleagues, ranked):
    ranked((1, 2), (2, 1), people=[rita, colleagues[0]])
    services.refresh()
    draw(amy, size=2, share=0)
    item = services.claim_next(reviewer=rita)
    assert item.ranking.labeler == colleagues[0]
    services.judge(item_id=item.pk, reviewer=rita, verdict="fine")
    assert services.claim_next(reviewer=rita) is None
    assert queries.waiting_for(rita) == 0 and queries.waiting_for(amy) == 1
    until = timezone.now() + timedelta(minutes=1)
    with pytest.raises(DatabaseError, match="their own answers"), transaction.atomic():
        ErrorItem.objects.filter(judged_at=None).update(claimed_by=rita, claimed_until=until)


def test_a_corrected_answer_waits_for_nobody(rita, ranked):
    one, other = ranked((1, 2), (2, 1))
    services.refresh()
    draw(rita, size=2, share=0)
    held = services.claim_next(reviewer=rita)
    correct(held.ranking, [1, 2])
    assert services.claim_next(reviewer=rita).ranking in {one, other} - {held.ranking}


def test_the_database_keeps_a_claim(rita, amy, answers):
    draw(rita)
    held = services.claim_next(reviewer=rita)
    with pytest.raises(DatabaseError, match="Somebody else holds"), transaction.atomic():
        ErrorItem.objects.filter(pk=held.pk).update(claimed_by=amy)
    with pytest.raises(DatabaseError, match="not theirs to judge"), transaction.atomic():
        ErrorVerdict.objects.create(item=held, reviewer=amy, verdict="fine")
    with pytest.raises(DatabaseError), transaction.atomic():
        ErrorItem.objects.filter(pk=held.pk).update(suspicious=not held.suspicious)
    with pytest.raises(DatabaseError), transaction.atomic():
        ErrorItem.objects.filter(pk=held.pk).delete()


def test_verdicts_are_revised_and_said_once(rita, amy, answers):
    draw(rita)
    held = services.claim_next(reviewer=rita)
    first = services.judge(item_id=held.pk, reviewer=rita, verdict="error", note=" B is better. ")
    assert services.judge(item_id=held.pk, reviewer=rita, verdict="error", note="B is better.") == first
    second = services.judge(item_id=held.pk, reviewer=rita, verdict="unclear")
    assert (second.revision, second.replaces) == (2, first)
    assert queries.errors_found().count() == 0
    assert list(queries.errors_found(until=first.created_at)) == [first]
    with pytest.raises(Conflict):
        services.judge(item_id=held.pk, reviewer=amy, verdict="fine")
    with pytest.raises(Refusal, match="error, fine, unclear"):
        services.judge(item_id=held.pk, reviewer=rita, verdict="odd")
    with pytest.raises(Refusal, match="at most"):
        services.judge(item_id=held.pk, reviewer=rita, verdict="fine", note="x" * 2001)
    assert AuditEvent.objects.filter(action="label_error.judged").count() == 2


def test_before_it_is_judged_one_person_sees_it(rita, amy, answers):
    draw(rita)
    held = services.claim_next(reviewer=rita)
    looked = queries.look_at(queries.get_item(held.pk), reviewer=rita)
    assert [each.rank for each in looked.completions] == [1, 2, 3]
    for _number, better, worse in looked.pairs:
        assert better.rank < worse.rank
    with pytest.raises(NotAllowed):
        queries.look_at(queries.get_item(held.pk), reviewer=amy)
    services.judge(item_id=held.pk, reviewer=rita, verdict="fine")
    assert queries.look_at(queries.get_item(held.pk), reviewer=amy).verdict.verdict == "fine"


def test_the_pair_that_is_wrong_is_marked(rita, ranked):
    ranked((1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 4, 3))
    services.refresh()
    item = draw(rita, size=2).items.get(suspicious=True)
    ranks = dict(item.ranking.judgments.values_list("completion", "rank"))
    by_id = {str(pk): rank for pk, rank in ranks.items()}
    assert [by_id[pk] for pk in item.pairs[0]] == [3, 4]
