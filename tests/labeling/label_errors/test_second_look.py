"""An answer with an error goes back to its labeler, who keeps or corrects it and is told nothing of what was found."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from labeling.audit.models import AuditEvent
from labeling.label_errors import queries, services
from labeling.label_errors.models import ErrorItem, SecondLook
from labeling.leasing.models import Lease
from labeling.leasing.services import begin_correction
from labeling.notices.models import NoticeReceipt
from labeling.people.models import User
from labeling.rankings.models import Ranking
from labeling.rankings.services import submit_ranking
from labeling.refusals import Conflict, NotFound, Refusal
from tests.factories import make_check_result
from tests.labeling.label_errors.conftest import completions_of
from tests.labeling.label_errors.test_looking import draw

pytestmark = pytest.mark.django_db


@pytest.fixture
def found(rita, ada, colleagues, ranked) -> ErrorItem:
    """Ada's answer, the other way round than her colleagues', given long ago and judged an error."""
    *_others, answer = ranked((1, 2, 3), (1, 2, 3), (3, 2, 1), people=[*colleagues[:2], ada], models=("gpt-9",) * 3)
    Lease.objects.filter(pk=answer.lease_id).update(ended_at=timezone.now() - timedelta(days=90))
    return judged(answer, rita)


def judged(answer: Ranking, reviewer: User, verdict: str = "error") -> ErrorItem:
    """As if `reviewer` had been given this very answer."""
    services.refresh()
    draw(reviewer, size=20, share=0)
    until = timezone.now() + timedelta(minutes=5)
    ErrorItem.objects.filter(claimed_by=reviewer, judged_at=None).update(claimed_by=None, claimed_until=None)
    ErrorItem.objects.filter(ranking=answer).update(claimed_by=reviewer, claimed_until=until)
    item = ErrorItem.objects.get(ranking=answer)
    services.judge(item_id=item.pk, reviewer=reviewer, verdict=verdict, note="Plainly reversed.")
    return item


def correct(answer: Ranking, ranks: list[int]) -> Ranking:
    given = [{"id": str(pk), "rank": rank, "rating": 4} for pk, rank in zip(completions_of(answer), ranks, strict=True)]
    body = {"completions": given, "revision": 2, "replaces": str(answer.pk), "reason": "Reversed."}
    made, new = submit_ranking(
        lease_id=answer.lease_id, labeler=answer.labeler, answer=body, idempotency_key="second look"
    )
    assert new
    return made


def test_an_old_answer_is_corrected_and_the_look_says_so(rita, ada, found):
    look = services.ask_second_look(item_id=found.pk, actor=rita)
    assert services.ask_second_look(item_id=found.pk, actor=rita) == look, "asked twice is asked once"
    assert [each.pk for each in queries.waiting_looks_of(ada)] == [look.pk]
    made = correct(found.ranking, [1, 2, 3])
    look.refresh_from_db()
    assert (made.replaces, made.revision) == (found.ranking, 2)
    assert (look.state, look.answer, look.ended_at is not None) == ("corrected", made, True)
    assert not queries.waiting_looks_of(ada).exists()
    assert queries.look_counts() == {"asked": 1, "waiting": 0, "kept": 0, "corrected": 1}
    assert AuditEvent.objects.filter(action="label_error.sent_back", actor=rita).count() == 1
    with pytest.raises(Conflict, match="it stands as it is"):
        services.keep_answer(lease_id=look.lease_id, labeler=ada)
    assert services.ask_second_look(item_id=found.pk, actor=rita) == look


def test_keeping_is_kept_with_its_time_and_why(rita, ada, bo, found):
    look = services.ask_second_look(item_id=found.pk, actor=rita)
    before = Lease.objects.get(pk=look.lease_id).active_seconds
    with pytest.raises(NotFound):
        services.keep_answer(lease_id=look.lease_id, labeler=bo)
    with pytest.raises(Refusal, match="at most"):
        services.keep_answer(lease_id=look.lease_id, labeler=ada, note="x" * 501)
    begin_correction(lease_id=look.lease_id, labeler=ada)
    Lease.objects.filter(pk=look.lease_id).update(correction_opened_at=F("correction_opened_at") - timedelta(seconds=9))
    kept = services.keep_answer(lease_id=look.lease_id, labeler=ada, active_seconds=10**6, note=" C is kind. ")
    assert services.keep_answer(lease_id=look.lease_id, labeler=ada) == kept, "said twice is said once"
    assert (kept.state, kept.note, kept.answer) == ("kept", "C is kind.", None)
    assert 9 <= kept.active_seconds < 60, "no more than since it was opened"
    lease = Lease.objects.get(pk=look.lease_id)
    assert (lease.sent_back, lease.active_seconds) == (False, before + kept.active_seconds)
    assert Ranking.objects.filter(lease=lease).count() == 1
    # It is as old as it was: only the second look had opened it.
    with pytest.raises(Refusal, match="this one is older"):
        correct(found.ranking, [1, 2, 3])


def test_one_message_in_their_language_while_some_wait(rita, ada, colleagues, ranked, found):
    User.objects.filter(pk=ada.pk).update(language="de")
    services.ask_second_look(item_id=found.pk, actor=rita)
    *_others, other = ranked((1, 2, 3), (3, 2, 1), people=[colleagues[0], ada])
    services.ask_second_look(item_id=judged(other, rita).pk, actor=rita)
    receipt = NoticeReceipt.objects.select_related("notice").get(person=ada)
    assert receipt.notice.title == "Ein zweiter Blick"
    assert reverse("work") in receipt.notice.text
    assert queries.waiting_looks_of(ada).count() == 2


def test_who_changes_the_verdict_takes_it_back(rita, ada, found):
    look = services.ask_second_look(item_id=found.pk, actor=rita)
    services.judge(item_id=found.pk, reviewer=rita, verdict="fine")
    look.refresh_from_db()
    assert look.state == "withdrawn" and not Lease.objects.get(pk=look.lease_id).sent_back
    assert queries.look_counts()["asked"] == 0
    with pytest.raises(Conflict, match="found an error"):
        services.ask_second_look(item_id=found.pk, actor=rita)
    services.judge(item_id=found.pk, reviewer=rita, verdict="error")
    assert services.ask_second_look(item_id=found.pk, actor=rita) != look


def test_some_answers_are_never_sent_back(rita, ada, colleagues, ranked, found):
    def refused(words: str) -> None:
        with pytest.raises(Conflict, match=words):
            services.ask_second_look(item_id=found.pk, actor=rita)

    User.objects.filter(pk=ada.pk).update(is_active=False)
    refused("does not work here")
    User.objects.filter(pk=ada.pk).update(is_active=True)
    batch = found.ranking.task.batch
    type(batch).objects.filter(pk=batch.pk).update(evaluation=True)
    refused("measures")
    type(batch).objects.filter(pk=batch.pk).update(evaluation=False)
    prompt = found.ranking.task.item.prompt
    type(prompt).objects.filter(pk=prompt.pk).update(state="held")
    refused("taken back")
    type(prompt).objects.filter(pk=prompt.pk).update(state="accepted")
    fine = judged(ranked((1, 2), (2, 1))[0], rita, "fine")
    with pytest.raises(Conflict, match="found an error"):
        services.ask_second_look(item_id=fine.pk, actor=rita)
    checked = ranked((1, 2), (2, 1))[0]
    make_check_result(ranking=checked)
    with pytest.raises(Conflict, match="measures"):
        services.ask_second_look(item_id=judged(checked, rita).pk, actor=rita)
    program = User.objects.create(username="sim-9", group="simulated")
    answer = ranked((1, 2), (2, 1), people=[program, User.objects.create(username="sim-8", group="simulated")])[0]
    services.refresh()
    services.draw_answers(size=9, share=0, simulated=True, actor=rita)
    ErrorItem.objects.filter(claimed_by=rita, judged_at=None).update(claimed_by=None, claimed_until=None)
    ErrorItem.objects.filter(ranking=answer).update(claimed_by=rita, claimed_until=timezone.now())
    item = ErrorItem.objects.get(ranking=answer)
    services.judge(item_id=item.pk, reviewer=rita, verdict="error")
    with pytest.raises(Conflict, match="program"):
        services.ask_second_look(item_id=item.pk, actor=rita)


def test_the_database_keeps_what_was_asked_and_what_came_of_it(rita, ada, amy, found):
    look = services.ask_second_look(item_id=found.pk, actor=rita)
    rows = SecondLook.objects.filter(pk=look.pk)
    for change in (lambda: rows.update(asked_by=amy), lambda: rows.delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    services.keep_answer(lease_id=look.lease_id, labeler=ada)
    with pytest.raises(DatabaseError), transaction.atomic():
        rows.update(note="Something else.")
    services.judge(item_id=found.pk, reviewer=rita, verdict="fine")
    with pytest.raises(DatabaseError, match="where it has an error"), transaction.atomic():
        SecondLook.objects.create(item=found, lease_id=look.lease_id, asked_by=rita)


def test_the_labeler_sees_their_own_answer_and_a_neutral_word(page, api, rita, ada, found):
    services.ask_second_look(item_id=found.pk, actor=rita)
    client = page(ada)
    work = client.get(reverse("work")).content.decode()
    task = client.get(reverse("task", args=[found.ranking.lease_id])).content.decode()
    program = api(ada).get(f"/api/v1/tasks/{found.ranking.lease_id}/").content.decode()
    listed = api(ada).get("/api/v1/second-looks/").json()
    assert [each["id"] for each in listed["tasks"]] == [str(found.ranking.lease_id)]
    assert "See it again" in work and "Keep my answer" in task and "Correct your answer" in task
    message = NoticeReceipt.objects.select_related("notice").get(person=ada).notice
    for seen in (work, task, program, str(listed), message.title + message.text):
        for secret in ("gpt-9", "label-error", "colleague", "suspicio", "Plainly reversed", "reward", str(found.pk)):
            assert secret not in seen, secret
    kept = client.post(reverse("answer-keep", args=[found.ranking.lease_id]), {"note": "I mean it."})
    assert kept.headers["Location"] == reverse("work")
    assert "Your answer stays as it is." in client.get(reverse("work")).content.decode()
    assert "Keep my answer" not in client.get(reverse("task", args=[found.ranking.lease_id])).content.decode()


def test_the_team_sees_what_came_of_it(page, api, rita, ada, found):
    client = page(rita)
    address = f"/label-errors/{found.pk}/"
    assert "Ask for a second look" in client.get(address).content.decode()
    assert client.post(f"{address}second-look/").headers["Location"] == address
    assert "waits for its labeler" in client.get(address).content.decode()
    correct(found.ranking, [1, 1, 3])
    shown = client.get(address).content.decode()
    assert "corrected" in shown and "B = C &gt; A" in shown, "in the letters of the order that was judged"
    listed = client.get("/label-errors/judged/?sent_back=1").content.decode()
    assert "Of 1 sent back, 1 corrected, 0 kept, 0 waiting." in listed
    assert "Of 1 sent back, 1 corrected" in client.get("/label-errors/").content.decode()
    rows = b"".join(client.get("/label-errors/csv/verdicts/")).decode().splitlines()
    assert rows[0].endswith("second_look,second_look_ended_at") and ",corrected," in rows[1]
    body = api(rita).post(f"/api/v1/label-errors/{found.pk}/second-look/").json()
    assert (body["second_look"]["state"], body["second_look"]["note"]) == ("corrected", "")


def test_with_the_verdict_in_one_go(page, rita, ada, colleagues, ranked):
    answer = ranked((3, 2, 1), (1, 2, 3), people=[ada, colleagues[0]])[0]
    services.refresh()
    draw(rita, size=2, share=0)
    ErrorItem.objects.filter(ranking=answer).update(claimed_by=rita, claimed_until=timezone.now())
    item = ErrorItem.objects.get(ranking=answer)
    client = page(rita)
    assert "Ask its labeler for a second look, if it is one" in client.get(f"/label-errors/{item.pk}/").content.decode()
    client.post(f"/label-errors/{item.pk}/", {"verdict": "error", "second_look": "on"})
    assert SecondLook.objects.get().item == item


def test_programs_keep_too(api, rita, ada, found):
    look = services.ask_second_look(item_id=found.pk, actor=rita)
    address = f"/api/v1/tasks/{look.lease_id}/keep/"
    assert api(ada).post(address, {"note": 3}, format="json").status_code == 400
    assert api(ada).post(address, {"active_seconds": 0, "note": "Yes."}, format="json").json()["state"] == "kept"
    assert api(ada).post(address, {}, format="json").status_code == 200
