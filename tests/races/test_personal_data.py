"""Two people at one prompt at one moment: two admins who decide, and a labeler who flags while another answers."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import connection

from labeling.governance import deciding
from labeling.governance.models import Decision, Flag
from labeling.governance.services import import_prompts
from labeling.leasing import following, services
from labeling.leasing.models import Lease, Seat
from labeling.people.models import User
from labeling.rankings.models import Ranking
from labeling.rankings.services import submit_ranking
from tests import factories
from tests.races.conftest import kinds, together

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 4


@pytest.fixture
def admins(db) -> list[User]:
    return [User.objects.create_user(f"admin-{n}", password="a long password", role="admin") for n in range(2)]


def test_two_admins_decide_one_prompt_once(admins):
    for number in range(ROUNDS):
        import_prompts(rows=[(1, {"prompt": f"{number}: jane.roe@example-mail.org"})], name="n")
        held = factories.Prompt.objects.latest("created_at")
        results = together(
            *(
                partial(deciding.decide, prompt_id=held.pk, outcome=outcome, decided_by=who)
                for who, outcome in zip(admins, ("redact", "drop"), strict=True)
            )
        )
        # A redacted prompt may still be dropped; a dropped one not redacted. Never both blind to each other.
        held.refresh_from_db()
        told = Decision.objects.filter(prompt=held).order_by("id")
        assert [d.state_before for d in told] in (["held"], ["held", "accepted"])
        assert kinds(results) == ([] if len(told) == 2 else ["DecidedAlready"])
        assert held.state == "dropped"


def test_two_admins_keep_one_prompt_once(admins):
    held = factories.make_held()
    results = together(
        *(partial(deciding.decide, prompt_id=held.pk, outcome="release", decided_by=who) for who in admins)
    )
    assert kinds(results) == ["DecidedAlready"]
    assert Decision.objects.count() == 1


def test_without_the_lock_both_would_decide(admins, monkeypatch):
    """The twin: the prompt is read and not locked, and two words are written down."""
    import threading

    held, gate = factories.make_held(), threading.Barrier(2)

    def unlocked(prompt_id):
        prompt = factories.Prompt.objects.select_related("source_user").get(pk=prompt_id)
        gate.wait(10)
        return prompt

    monkeypatch.setattr(deciding, "lock_prompt", unlocked)
    results = together(
        *(partial(deciding.decide, prompt_id=held.pk, outcome="release", decided_by=who) for who in admins)
    )
    assert kinds(results) == [] and Decision.objects.count() == 2


def answer_of(lease: Lease) -> dict:
    return {"completions": [{"id": each, "rank": n + 1, "rating": 4} for n, each in enumerate(lease.order_shown)]}


def test_a_flag_during_a_submit_loses_neither(people):
    ada, bo = people(2)
    for _ in range(ROUNDS):
        task = factories.make_task(batch=factories.make_batch(overlap=2), prompt=factories.make_prompt())
        mine, theirs = (factories.make_lease(task=task, labeler=who) for who in (ada, bo))
        results = together(
            partial(following.flag_prompt, lease_id=mine.pk, labeler=ada, note="a name"),
            partial(
                submit_ranking, lease_id=theirs.pk, labeler=bo, answer=answer_of(theirs), idempotency_key=f"{task.pk}"
            ),
        )
        assert kinds(results) == []
        ranking = Ranking.objects.get(task=task)
        assert (ranking.labeler, ranking.surplus) == (bo, False)
        assert Flag.objects.filter(prompt=task.item.prompt_id).count() == 1
        assert {lease.labeler_id: lease.state for lease in task.leases.all()} == {
            ada.pk: "returned",
            bo.pk: "submitted",
        }
        # The one that was answered, and the one that was given back, which is offered to nobody.
        assert sorted(task.seats.values_list("state", flat=True)) == ["filled", "withheld"]


def test_nobody_gets_a_seat_of_a_prompt_that_is_being_flagged(people):
    ada, *others = people(6)
    for _ in range(ROUNDS):
        task = factories.make_task(batch=factories.make_batch(overlap=6), prompt=factories.make_prompt())
        mine = factories.make_lease(task=task, labeler=ada)
        results = together(
            partial(following.flag_prompt, lease_id=mine.pk, labeler=ada, note="a name"),
            *(partial(services.grant_lease, labeler=who) for who in others),
        )
        assert kinds(results) == []
        assert not Lease.objects.filter(task=task, state__in=["open", "ahead"]).exists()
        assert set(Seat.objects.filter(task=task).values_list("state", flat=True)) == {"withheld"}


def test_a_skip_during_a_flag_gives_no_seat_away(people):
    ada, bo, cleo = people(3)
    for _ in range(ROUNDS):
        task = factories.make_task(batch=factories.make_batch(overlap=2), prompt=factories.make_prompt())
        mine, theirs = (factories.make_lease(task=task, labeler=who) for who in (ada, bo))
        results = together(
            partial(following.flag_prompt, lease_id=mine.pk, labeler=ada, note="a name"),
            partial(services.skip_lease, lease_id=theirs.pk, labeler=bo, reason="no"),
        )
        assert kinds(results) == []
        assert services.grant_lease(labeler=cleo) is None
    connection.close()
