"""Pay by pages and API: one's own and nobody else's for labelers, everybody's for admins."""

from __future__ import annotations

import csv
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from labeling.pay import services
from labeling.pay.models import LedgerEntry, PayRate, PayRequest, PaySettings
from tests.factories import make_work

pytestmark = pytest.mark.django_db

TODAY = timezone.now().date()
YESTERDAY = TODAY - timedelta(days=1)


def text_of(client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return response.content.decode()


def rows_of(client, address: str) -> list[dict]:
    response = client.get(address)
    assert response.streaming
    return list(csv.DictReader(b"".join(response.streaming_content).decode().splitlines()))


@pytest.fixture
def worked(ada, amy):
    services.set_rate(user_id=ada.pk, valid_from=YESTERDAY, per_hour=1850, actor=amy)
    make_work(labeler=ada, at=timezone.now() - timedelta(days=1), seconds=3600, page_seconds=7200)
    services.enter_time()
    return LedgerEntry.objects.get()


def test_from_the_rate_to_the_payment(ada, amy, page):
    staff, labeler = page(amy), page(ada)
    one = f"/payroll/people/{ada.pk}/"
    rate = {"rate-valid_from": YESTERDAY.isoformat(), "rate-per_hour": "18,50"}
    assert staff.post(f"{one}rates/", {**rate, "rate-per_hour": "lots"}).status_code == 400
    assert staff.post(f"{one}rates/", rate).url == one
    assert staff.post(f"{one}rates/", {**rate, "rate-per_hour": "19"}).status_code == 400
    make_work(labeler=ada, at=timezone.now() - timedelta(days=1), seconds=3600, page_seconds=7200)
    services.enter_time()
    shown = text_of(labeler, "/pay/")
    assert "18.50\u00a0USD an hour" in shown and "1 h 0 min" in shown and "Hours in the ledger by week" in shown
    change = {"correct-day": YESTERDAY.isoformat(), "correct-minutes": "-60", "correct-reason": "<i>Twice</i>"}
    assert staff.post(f"{one}corrections/", {**change, "correct-amount": "3"}).status_code == 400
    key = re.search(r'name="correct-key" value="([^"]+)"', text_of(staff, one))[1]
    for _ in range(2):
        assert staff.post(f"{one}corrections/", {**change, "correct-key": key}).url == one
    assert "&lt;i&gt;Twice" in text_of(labeler, "/pay/") and "−1 h 0 min" in text_of(labeler, "/pay/")
    paid = {"paid-amount": "0.50", "paid-reference": "MAY", "paid-paid_on": TODAY.isoformat()}
    paid |= {"paid-period_from": YESTERDAY.isoformat(), "paid-period_until": YESTERDAY.isoformat()}
    for _ in range(2):
        assert staff.post(f"{one}payments/", paid).url == one
    assert staff.post(f"{one}payments/", {**paid, "paid-amount": "1"}).status_code == 400
    assert staff.post(f"{one}payments/", {**paid, "paid-paid_on": "soon"}).status_code == 400
    assert sorted(LedgerEntry.objects.values_list("kind", "amount")) == [
        *(("correction", -1850), ("payment", -50), ("time", 1850))
    ]
    later = {"rate-valid_from": (TODAY + timedelta(days=9)).isoformat(), "rate-per_hour": ""}
    assert staff.post(f"{one}rates/", later).url == one
    last = PayRate.objects.latest("valid_from")
    assert staff.post(f"{one}rates/{last.pk}/take-back/").url == one
    assert staff.post(f"{one}rates/{last.pk}/take-back/").status_code == 404


def test_a_correction_is_asked_for_accepted_and_seen(ada, bo, amy, page, worked):
    labeler, staff = page(ada), page(amy)
    assert page(bo).get(f"/pay/entries/{worked.pk}/ask/").status_code == 404
    asked = {"minutes": "15", "text": "I read the <b>guidelines</b>."}
    assert labeler.post(f"/pay/entries/{worked.pk}/ask/", {**asked, "text": ""}).status_code == 400
    assert labeler.post(f"/pay/entries/{worked.pk}/ask/", asked).url == "/pay/"
    assert labeler.post("/pay/ask/", {"day": YESTERDAY.isoformat(), "text": "When is it paid?"}).url == "/pay/"
    wish, question = PayRequest.objects.order_by("created_at")
    assert "2 questions about pay wait" in text_of(staff, "/people/")
    inbox = text_of(staff, "/payroll/requests/")
    assert "&lt;b&gt;guidelines" in inbox and "15 minutes more" in inbox
    address = f"/payroll/requests/{wish.pk}/"
    assert 'value="15"' in text_of(staff, address)
    assert staff.post(address, {"do": "odd"}).status_code == 400
    assert staff.post(address, {"do": "accept", "accept-minutes": "15"}).status_code == 400
    accept = {"do": "accept", "accept-minutes": "15", "accept-amount": "", "accept-reason": "That counts."}
    for _ in range(2):
        assert staff.post(address, accept).url == "/payroll/requests/"
    assert staff.post(address, {"do": "decline", "decline-text": "No."}).status_code == 409
    assert (
        staff.post(f"/payroll/requests/{question.pk}/", {"do": "answer", "answer-text": "On Friday."}).status_code
        == 302
    )
    assert LedgerEntry.objects.filter(kind="correction").count() == 1
    assert "answered what you asked about your pay" in text_of(labeler, "/work/")
    shown = text_of(labeler, "/pay/")
    assert "That counts." in shown and "On Friday." in shown and "new answer" in shown and "amy" not in shown
    assert "answered what you asked" not in text_of(labeler, "/work/")
    assert "That counts." not in text_of(page(bo), "/pay/")


def test_everybody_with_warnings_and_settings(ada, bo, amy, page, worked):
    staff = page(amy)
    bo.last_login = timezone.now()
    bo.save()
    assert staff.post("/payroll/settings/", {"currency": "EUR", "floor": "1"}).status_code == 400
    assert staff.post("/payroll/settings/", {"currency": "USD", "floor": "18.51"}).url == "/payroll/"
    assert PaySettings.objects.get().floor == 1851
    shown = text_of(staff, "/payroll/")
    assert "below the floor" in shown and "no rate" in shown and "9.25\u00a0USD" in shown
    people = text_of(staff, "/people/")
    assert "1 person works without a rate" in people and "The active time of 1 person comes to less" in people
    one = text_of(staff, f"/people/{ada.pk}/")
    assert "below the floor" in one and "Hours in the ledger by week" in one
    period = f"since={TODAY.isoformat()}&until={TODAY.isoformat()}"
    assert "below the floor" not in text_of(staff, f"/payroll/?{period}")
    for bad in ("since=soon", f"since={TODAY}&until={YESTERDAY}", "after=odd"):
        assert staff.get(f"/payroll/?{bad}").status_code == 400
    lines = rows_of(staff, "/payroll/people.csv")
    assert [(line["user_name"], line["earned"], line["per_page_hour"], line["warnings"]) for line in lines] == [
        ("ada", "18.50", "9.25", "below the floor"),
        ("bo", "0.00", "", "no rate"),
    ]
    for address in ("/payroll/ledger.csv", f"/payroll/people/{ada.pk}/ledger.csv"):
        (line,) = rows_of(staff, address)
        assert (line["user_name"], line["active_seconds"], line["amount"]) == ("ada", "3600", "18.50")
        assert line["page_seconds"] == "7200"
    assert rows_of(staff, f"/payroll/ledger.csv?{period}") == []
    assert sum(int(line["active_seconds"]) for line in rows_of(staff, f"/payroll/people/{ada.pk}/weeks.csv")) == 3600


def test_own_files_have_the_own_ledger_alone(ada, bo, page, worked):
    (line,) = rows_of(page(ada), "/pay/ledger.csv")
    assert (line["per_hour"], line["amount"], line["currency"]) == ("18.50", "18.50", "USD")
    assert "entered_by" not in line and rows_of(page(bo), "/pay/ledger.csv") == []
    assert sum(int(line["active_seconds"]) for line in rows_of(page(ada), "/pay/weeks.csv")) == 3600


def test_pay_over_the_api(ada, bo, amy, api, worked):
    own = api(ada).get("/api/v1/pay/").json()
    assert (own["balance"], own["per_hour"], own["currency"], own["pending_seconds"]) == (1850, 1850, "USD", 0)
    assert [entry["amount"] for entry in own["entries"]] == [1850] and own["next"] is None
    assert api(bo).get("/api/v1/pay/").json()["entries"] == []
    assert api(bo).get("/api/v1/payroll/ledger/").status_code == 403
    for asked, count in (
        ("", 1),
        (f"?person={ada.pk}&since={YESTERDAY}", 1),
        (f"?person={bo.pk}", 0),
        ("?until=2001-01-01", 0),
    ):
        assert len(api(amy).get(f"/api/v1/payroll/ledger/{asked}").json()["entries"]) == count
    for bad in ("person=x", "person=-1", "person=99999999999999", "since=soon", "after=odd", "person=²"):
        assert api(amy).get(f"/api/v1/payroll/ledger/?{bad}").status_code == 400


def test_simulated_labelers_have_no_pay(sim, amy, page):
    staff = page(amy)
    assert staff.get(f"/payroll/people/{sim.pk}/").status_code == 400
    assert 'id="pay-title"' not in text_of(staff, f"/people/{sim.pk}/")
    assert "never paid" in text_of(page(sim), "/pay/")
    assert staff.get("/payroll/people/999999/").status_code == 404
