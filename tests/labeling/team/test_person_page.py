"""One person's page, the lists behind it, and one answer as the team reads it."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from labeling.leasing import services as leasing
from labeling.leasing.models import Lease
from labeling.people.models import TeamSettings
from labeling.questions.services import ask
from labeling.rankings.services import submit_ranking
from labeling.team import queries
from tests import factories

pytestmark = pytest.mark.django_db


def submit(lease: Lease, labeler, *, key: str = "k", **more):
    said = [{"id": shown, "rank": n, "rating": 4} for n, shown in enumerate(lease.order_shown, start=1)]
    answer = {"completions": said, **more}
    return submit_ranking(lease_id=lease.pk, labeler=labeler, answer=answer, idempotency_key=key)[0]


@pytest.fixture
def worked(ada):
    """Ada ranked and corrected, skipped, wrote, reviewed nothing, and asked."""
    factories.make_task(prompt=factories.make_prompt("Why <b>so</b>?"), texts=("One.", "Two <i>x</i>.", "3", "4"))
    lease = leasing.grant_lease(labeler=ada)
    ask(lease_id=lease.pk, labeler=ada, text="What is <b>meant</b>?")
    first = submit(lease, ada)
    submit(lease, ada, key="second", replaces=str(first.pk), revision=2, reason="A <b>slip</b>.", note="Hm <b>.</b>")
    factories.make_task()
    leasing.skip_lease(lease_id=leasing.grant_lease(labeler=ada).pk, labeler=ada, reason="Not my <b>language</b>.")
    return lease


def test_page_shows_what_somebody_did(page, amy, ada, worked):
    shown = page(amy).get(f"/people/{ada.pk}/").content.decode()
    for text in (
        "Why &lt;b&gt;so",
        "A &lt;b&gt;slip",
        "Not my &lt;b&gt;language",
        "What is &lt;b&gt;meant",
        "1 correction",
        "Answers by day",
        "<svg",
    ):
        assert text in shown, text
    assert f"/given/{worked.pk}/" in shown and f"/given/{worked.pk}/?revision=2" in shown
    assert page(amy).get(f"/people/{ada.pk}/?by=week").status_code == 200
    for number in ("0", "999999", "9" * 40):
        assert page(amy).get(f"/people/{number}/").status_code == 404


def test_what_somebody_would_rather_not_read_is_not_on_their_page(page, amy, ada):
    def lines() -> list[str]:
        """Of the page, without the keys of its forms, which are new each time."""
        said = page(amy).get(f"/people/{ada.pk}/").content.decode().splitlines()
        return [line for line in said if "csrf" not in line.lower() and 'name="key"' not in line]

    before = lines()
    ada.opted_out = ["violence", "hate"]
    ada.save()
    assert lines() == before


def test_an_admin_has_a_page_too(page, amy):
    assert page(amy).get(f"/people/{amy.pk}/").status_code == 200


def test_agreement_is_on_the_page_and_in_the_list(page, amy, ada, bo):
    for ranks in ([1, 2, 3, 4], [1, 2, 3, 4], [2, 1, 3, 4]):
        task = factories.make_task(batch=factories.make_batch(overlap=2), texts=("a", "b", "c", "d"))
        factories.make_ranking(task=task, labeler=ada, ranks=[1, 2, 3, 4])
        factories.make_ranking(task=task, labeler=bo, ranks=ranks)
    client = page(amy)
    shown = client.get(f"/people/{ada.pk}/").content.decode()
    assert "With other labelers" in shown and "94.4" in shown and "With researchers" not in shown
    assert "94.4" in client.get("/people/").content.decode()
    sent = client.get(f"/people/{ada.pk}/agreement.csv")
    rows = list(csv.DictReader(b"".join(sent.streaming_content).decode().splitlines()))
    (pairwise,) = (row for row in rows if row["statistic"] == "pairwise")
    assert (pairwise["with"], pairwise["count"], pairwise["tasks"]) == ("others", "18", "3")
    assert float(pairwise["value"]) == pytest.approx(17 / 18)
    assert "With other labelers" not in client.get(f"/people/{amy.pk}/").content.decode()


def test_lists_turn_pages_and_come_as_files(page, amy, ada, worked):
    client = page(amy)
    for show, text in (("answers", "Why &lt;"), ("skips", "language"), ("corrections", "slip"), ("questions", "meant")):
        assert text in client.get(f"/people/{ada.pk}/{show}/").content.decode(), show
    for show, count in (("answers", 1), ("skips", 1), ("corrections", 1), ("day", 28), ("week", 26)):
        sent = client.get(f"/people/{ada.pk}/{show}.csv")
        rows = list(csv.DictReader(b"".join(sent.streaming_content).decode().splitlines()))
        assert len(rows) == count, show


def test_corrections_of_every_kind_turn_pages(ada):
    kept = []
    for n in range(5):
        one = factories.make_demonstration(prompt=factories.make_prompt(), labeler=ada, text=f"{n}")
        two = factories.make_ranking(task=factories.make_task(), labeler=ada)
        for model, given, more in ((type(one), one, {"text": "new"}), (type(two), two, {"order_shown": []})):
            correction = model.objects.create(
                **{"lease": given.lease, "task": given.task, "labeler": ada, "group": "training", "revision": 2},
                **{"replaces": given, "idempotency_key": "second", "payload_sha256": "0" * 64},
                **{"correction_reason": str(n), **more},
            )
            kept.append(correction.pk)
    seen, after = [], None
    while True:
        found = queries.corrections_page(ada, after=after, size=3)
        seen += [one.answer for one in found]
        if found.next is None:
            break
        after = found.next
    # In one transaction all were made at one moment: the order is by id.
    assert sorted(seen) == sorted(kept) and len(seen) == 10


def test_days_and_weeks_begin_where_the_team_is(ada):
    TeamSettings.objects.create(time_zone="Pacific/Auckland")
    zone = ZoneInfo("Pacific/Auckland")
    today = timezone.now().astimezone(zone).date()
    midnight = datetime.combine(today, datetime.min.time(), tzinfo=zone)
    for moment, seconds in ((midnight, 60), (midnight - timedelta(seconds=1), 30)):
        ranking = factories.make_ranking(task=factories.make_task(), labeler=ada)
        Lease.objects.filter(pk=ranking.lease_id).update(ended_at=moment, active_seconds=seconds)
    *_, yesterday, last = queries.work_over_time(ada, by="day")
    assert (last.begins, last.answers, last.active_seconds) == (today, 1, 60)
    assert (yesterday.answers, yesterday.active_seconds) == (1, 30)
    weeks = queries.work_over_time(ada, by="week")
    assert len(weeks) == 26 and {week.begins.weekday() for week in weeks} == {0}
    assert sum(week.answers for week in weeks) == 2


def test_the_team_reads_every_revision_of_an_answer(page, rita, ada, worked):
    client = page(rita)
    latest = client.get(f"/given/{worked.pk}/").content.decode()
    for text in ("Two &lt;i&gt;x", "Hm &lt;b&gt;", "A &lt;b&gt;slip", "shown below", "Shown as 1 of 4"):
        assert text in latest, text
    first = client.get(f"/given/{worked.pk}/?revision=1").content.decode()
    assert "Hm &lt;b&gt;" not in first
    assert client.get(f"/given/{worked.pk}/?revision=3").status_code == 404
    assert client.get(f"/given/{worked.pk}/?revision=x").status_code == 400
    assert page(ada).get(f"/given/{worked.pk}/").status_code == 403


def test_every_kind_of_answer_can_be_read(page, rita, ada, bo):
    dialogue = factories.make_demonstration(
        prompt=factories.make_prompt(), labeler=ada, turns=["Since?", "Ever.", "Oh?"], text="Yes <b>."
    )
    written = factories.make_written_prompt(labeler=ada, text="Write <b>.")
    reviewed = factories.make_demonstration(
        prompt=factories.make_prompt(), labeler=ada, text="So <b>.", batch=factories.make_reviewed_batch()
    )
    review = factories.make_review(demonstration=reviewed, labeler=bo, verdict="edit", text="Thus <b>.")
    for answer, text in (
        (dialogue, "Yes &lt;b&gt;"),
        (written, "Write &lt;b&gt;"),
        (reviewed, "So &lt;b&gt;"),
        (review, "Thus &lt;b&gt;"),
    ):
        shown = page(rita).get(f"/given/{answer.lease_id}/")
        assert shown.status_code == 200 and text in shown.content.decode(), text
    held = factories.make_lease(task=factories.make_task(), labeler=ada)
    assert page(rita).get(f"/given/{held.pk}/").status_code == 404
