"""An alert reaches each admin as one message; its labeler hears a word only where an admin sends one."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from labeling.audit.models import AuditEvent
from labeling.checks import services
from labeling.checks.models import CheckAlert
from labeling.notices.models import Notice, NoticeReceipt
from labeling.people.models import User
from labeling.refusals import Conflict, Refusal
from tests.factories import make_check_alert
from tests.labeling.checks.test_results import dip

pytestmark = pytest.mark.django_db


def test_each_admin_gets_one_message_with_the_way_to_the_items(ada, amy, rita, make_set, page, api):
    User.objects.filter(pk=ada.pk).update(display_name="[Ada](https://elsewhere.example) <b>")
    other = User.objects.create(username="anton", role="admin", language="de")
    User.objects.create(username="gone", role="admin", is_active=False)
    dip(make_set(items=12), ada)
    assert services.keep_up()["alerts"] == 1
    services.keep_up()
    assert services.raise_alerts({ada.pk}) == 0
    assert set(NoticeReceipt.objects.values_list("person", flat=True)) == {amy.pk, other.pk}
    assert Notice.objects.count() == 2, "once for each alert, whoever looks again"
    assert Notice.objects.get(person=other).title.startswith("Verdeckte Prüfungen")
    week = CheckAlert.objects.get().week.isoformat()
    shown = page(amy).get("/messages/").content.decode()
    assert f'href="/checks/people/{ada.pk}/?week={week}#checks-list"' in shown
    assert "elsewhere.example" in shown and 'href="https://elsewhere' not in shown and "<b>" not in shown
    assert '<span class="badge warn">1<span class="visually-hidden"> unread' in page(amy).get("/").content.decode()
    listed = api(amy).get("/api/v1/messages/").json()
    assert listed["unread"] == 1
    number = listed["messages"][0]["id"]
    assert page(amy).post(f"/messages/{number}/read/").status_code == 302
    assert api(amy).get("/api/v1/messages/").json()["unread"] == 0
    assert "No message was sent yet." in page(rita).get("/sent-messages/").content.decode()
    assert page(rita).get(f"/sent-messages/{number}/").status_code == 404
    assert page(ada).get("/messages/").content.decode().count("<article") == 0, "the labeler hears nothing by it"


def test_an_alert_of_a_program_is_no_message(sim, amy, make_set):
    dip(make_set(items=12, groups=["simulated"]), sim)
    services.keep_up()
    assert CheckAlert.objects.count() == 1 and not Notice.objects.exists()


def test_an_admin_sends_a_kind_word_once(ada, amy, page):
    User.objects.filter(pk=ada.pk).update(language="de")
    alert = make_check_alert(labeler=User.objects.get(pk=ada.pk))
    shown = page(amy).get("/checks/alerts/").content.decode()
    assert "Danke für Ihre Arbeit" in shown, "in the labeler's language"
    said = {"text": "Danke. Fragen Sie uns gern."}
    assert page(amy).post(f"/checks/alerts/{alert.pk}/tell/", said).status_code == 302
    receipt = NoticeReceipt.objects.select_related("notice").get()
    assert (receipt.person, receipt.notice.text, receipt.notice.author) == (ada, said["text"], amy)
    assert "They were sent a word at" in page(amy).get("/checks/alerts/").content.decode()
    with pytest.raises(Conflict, match="already"):
        services.tell_labeler(alert_id=alert.pk, text="Again.", actor=amy)
    # An alert that was told is acknowledged still, and one that was acknowledged keeps its note.
    services.acknowledge(alert_id=alert.pk, note="Wrote to them.", actor=amy)
    with pytest.raises(DatabaseError), transaction.atomic():
        CheckAlert.objects.filter(pk=alert.pk).update(note="Never.")
    with pytest.raises(DatabaseError), transaction.atomic():
        CheckAlert.objects.filter(pk=alert.pk).update(told=None)
    assert AuditEvent.objects.get(action="check_alert.told").detail["labeler"] == ada.pk


def test_the_word_says_nothing_of_checks(ada, amy, api):
    alert = make_check_alert(labeler=ada)
    services.acknowledge(alert_id=alert.pk, note="Looked at it.", actor=amy)
    told = api(amy).post(f"/api/v1/checks/alerts/{alert.pk}/tell/", {}, format="json").json()
    assert told["told_at"]
    notice = Notice.objects.get()
    for word in ("check", "gold", "agree", "%", "alert", "researcher"):
        assert word not in (notice.title + notice.text).lower()


def test_nobody_is_told_who_cannot_read_it(ada, amy):
    alert = make_check_alert(labeler=ada)
    with pytest.raises(Refusal, match="1 to"):
        services.tell_labeler(alert_id=alert.pk, text="  ", actor=amy)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    with pytest.raises(Conflict, match="does not read"):
        services.tell_labeler(alert_id=alert.pk, text="Hello.", actor=amy)
