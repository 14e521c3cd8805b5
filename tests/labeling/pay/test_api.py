"""All of pay over the API: to labelers their own, to admins everybody's, and nothing to anybody else."""

from __future__ import annotations

import uuid

import pytest

from labeling.audit.models import AuditEvent
from labeling.pay import services
from labeling.pay.models import LedgerEntry, PayRate
from tests.factories import make_work
from tests.labeling.pay.test_services import ago, noon, rate

pytestmark = pytest.mark.django_db
PAY, PAYROLL = "/api/v1/pay/", "/api/v1/payroll/"


def test_ones_own_pay_has_rate_hours_and_what_an_hour_came_to(ada, bo, amy, api):
    rate(ada, amy, 1200, days=5)
    make_work(labeler=ada, at=noon(1), seconds=3600, page_seconds=7200)
    services.enter_time()
    own = api(ada).get(PAY).json()
    assert (own["balance"], own["per_hour"], own["next_rate"], own["has_news"]) == (1200, 1200, None, False)
    period = own["period"]
    assert (period["active_seconds"], period["per_active_hour"], period["per_page_hour"]) == (3600, 1200, 600)
    assert (period["since"], period["until"]) == (ago(27).isoformat(), ago(0).isoformat())
    before = api(ada).get(PAY, {"since": ago(20).isoformat(), "until": ago(10).isoformat()}).json()["period"]
    assert (before["active_seconds"], before["per_active_hour"]) == (0, None)
    for bad in ({"since": "soon"}, {"since": ago(1).isoformat(), "until": ago(2).isoformat()}, {"after": "x"}):
        assert api(ada).get(PAY, bad).status_code == 400
    assert [row["per_hour"] for row in api(ada).get(f"{PAY}rates/").json()["rates"]] == [1200]
    assert sum(week["active_seconds"] for week in api(ada).get(f"{PAY}weeks/").json()["weeks"]) == 3600
    lines = api(ada).get(f"{PAY}ledger.csv").getvalue().decode().splitlines()
    assert len(lines) == 2 and ",3600,3600,12.00,12.00,USD," in lines[1]
    assert len(api(bo).get(f"{PAY}ledger.csv").getvalue().decode().splitlines()) == 1


def test_a_labeler_asks_and_reads_the_answer(ada, bo, amy, api):
    make_work(labeler=ada, at=noon(1), seconds=60)
    services.enter_time()
    entry = LedgerEntry.objects.get()
    address = f"{PAY}requests/"
    for bad in (
        {"text": "Why?"},
        {"text": "Why?", "day": "soon"},
        {"text": "", "day": ago(1).isoformat()},
        {"text": "Why?", "entry": entry.pk, "minutes": 10**9},
        {"text": "Why?", "entry": entry.pk, "odd": 1},
    ):
        assert api(ada).post(address, bad, format="json").status_code == 400
    asked = {"text": "I read <b>long</b>.", "entry": entry.pk, "minutes": 10}
    assert api(bo).post(address, asked, format="json").status_code == 404
    first = api(ada).post(address, asked, format="json")
    assert first.status_code == 201 and api(ada).post(address, asked, format="json").json() == first.json()
    assert (first.json()["kind"], first.json()["state"], first.json()["day"]) == (
        "correction",
        "open",
        ago(1).isoformat(),
    )
    question = api(ada).post(address, {"text": "When?", "day": ago(1).isoformat()}, format="json").json()
    inbox = f"{PAYROLL}requests/"
    waiting = api(amy).get(inbox).json()["requests"]
    assert [(row["user_name"], row["kind"]) for row in waiting] == [("ada", "correction"), ("ada", "question")]
    one, other = (f"{inbox}{held['id']}/" for held in (first.json(), question))
    assert api(amy).get(one).json()["minutes"] == 10
    assert api(amy).post(one, {"do": "answer", "text": "x"}, format="json").status_code == 409
    assert api(amy).post(one, {"do": "accept", "text": "x"}, format="json").status_code == 400
    assert api(amy).post(one, {"do": "odd", "text": "x"}, format="json").status_code == 400
    done = api(amy).post(one, {"do": "accept", "text": "So it was.", "seconds": 600}, format="json").json()
    assert (done["state"], done["correction"]["active_seconds"], done["decided_by"]) == ("accepted", 600, "amy")
    assert api(amy).post(other, {"do": "answer", "text": "Friday."}, format="json").json()["state"] == "answered"
    assert api(amy).post(other, {"do": "answer", "text": "Never."}, format="json").status_code == 409
    assert api(amy).get(inbox).json()["requests"] == []
    assert len(api(amy).get(inbox, {"state": "all"}).json()["requests"]) == 2
    assert api(amy).get(inbox, {"state": "odd"}).status_code == 400
    assert api(amy).get(f"{inbox}{uuid.uuid4()}/").status_code == 404
    assert api(ada).get(PAY).json()["has_news"]
    read = api(ada).get(address).json()["requests"]
    assert [row["answer"] for row in read] == ["Friday.", "So it was."] and "decided_by" not in read[0]
    assert not api(ada).get(PAY).json()["has_news"]
    assert api(bo).get(address).json()["requests"] == []


def test_admins_set_rates_correct_and_pay(ada, amy, api):
    client, one = api(amy), f"{PAYROLL}people/{ada.pk}/"
    said = {"valid_from": ago(3).isoformat(), "per_hour": 1500}
    for bad in ({"valid_from": "x"}, {"per_hour": 0}, {"per_hour": "15"}, {"odd": 1}):
        assert client.post(f"{one}rates/", {**said, **bad}, format="json").status_code == 400
    made = client.post(f"{one}rates/", said, format="json")
    assert made.status_code == 201 and client.post(f"{one}rates/", said, format="json").json() == made.json()
    assert client.post(f"{one}rates/", {**said, "per_hour": None}, format="json").status_code == 409
    later = {"valid_from": ago(-1).isoformat(), "per_hour": None}
    held = client.post(f"{one}rates/", later, format="json").json()
    assert held["per_hour"] is None
    assert client.delete(f"{one}rates/{held['id']}/").status_code == 204
    assert client.delete(f"{one}rates/{held['id']}/").status_code == 404
    correction = {"day": ago(1).isoformat(), "seconds": -1200, "reason": "The page hung."}
    for bad in ({"seconds": None}, {"amount": 5}, {"reason": " "}, {"day": ago(-2).isoformat()}):
        assert client.post(f"{one}corrections/", {**correction, **bad}, format="json").status_code == 400
    key = {"HTTP_IDEMPOTENCY_KEY": "k"}
    first = client.post(f"{one}corrections/", correction, format="json", **key)
    assert (first.status_code, first.json()["amount"]) == (201, -500)
    assert client.post(f"{one}corrections/", correction, format="json", **key).json() == first.json()
    assert client.post(f"{one}corrections/", {**correction, "seconds": 5}, format="json", **key).status_code == 409
    assert client.delete(f"{one}rates/{made.json()['id']}/").status_code == 409
    payment = {
        "amount": 900,
        "reference": "MAY-1",
        "period_from": ago(9).isoformat(),
        "period_until": ago(1).isoformat(),
    }
    paid = client.post(f"{one}payments/", payment, format="json")
    assert (paid.status_code, paid.json()["amount"], paid.json()["day"]) == (201, -900, ago(0).isoformat())
    assert client.post(f"{one}payments/", payment, format="json").json() == paid.json()
    assert client.post(f"{one}payments/", {**payment, "amount": 901}, format="json").status_code == 409
    assert client.post(f"{one}payments/", {**payment, "amount": 0}, format="json").status_code == 400
    found = client.get(one).json()
    assert (found["balance"], found["paid"], [row["per_hour"] for row in found["rates"]]) == (-1400, 900, [1500])
    lines = client.get(f"{PAYROLL}ledger.csv", {"person": ada.pk}).getvalue().decode().splitlines()
    assert len(lines) == 3 and lines[-1].endswith("amy")
    assert (PayRate.objects.count(), LedgerEntry.objects.count()) == (1, 2)
    acts = set(AuditEvent.objects.filter(action__startswith="pay.").values_list("action", flat=True))
    assert acts == {"pay.rate_set", "pay.rate_taken_back", "pay.corrected", "pay.paid"}


def test_admins_see_everybody_and_who_is_paid_too_little(ada, bo, hal, sim, amy, api):
    client = api(amy)
    changed = client.patch(f"{PAYROLL}settings/", {"floor": 1300}, format="json")
    assert changed.json() == {"currency": "USD", "floor": 1300} == client.get(f"{PAYROLL}settings/").json()
    for bad in ({"floor": -1}, {"currency": "XXX"}, {"odd": 1}):
        assert client.patch(f"{PAYROLL}settings/", bad, format="json").status_code == 400
    rate(ada, amy, 1200)
    for person in (ada, bo):
        make_work(labeler=person, at=noon(1), seconds=3600)
    services.enter_time()
    found = client.get(PAYROLL).json()
    by_name = {row["user_name"]: row for row in found["people"]}
    assert set(by_name) == {"ada", "bo"} and found["next"] is None
    assert (by_name["ada"]["per_active_hour"], by_name["ada"]["warnings"]) == (1200, ["below_floor"])
    assert (by_name["bo"]["unpriced_seconds"], by_name["bo"]["warnings"]) == (3600, ["no_rate"])
    warned = client.get(f"{PAYROLL}warnings/").json()
    assert [[row["user_name"] for row in warned[name]] for name in ("no_rate", "below_floor")] == [["bo"], ["ada"]]
    lines = client.get(f"{PAYROLL}people.csv").getvalue().decode().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["ada", "bo"]
    assert client.get(f"{PAYROLL}people/{sim.pk}/").status_code == 400
    assert client.get(f"{PAYROLL}people/0/").status_code == 404


def test_all_of_it_is_in_the_schema_and_nothing_is_for_others(ada, rita, api):
    described = api(ada).get("/api/v1/schema/", {"format": "json"}).json()["paths"]
    found = {path.removeprefix("/api/v1/"): sorted(ways) for path, ways in described.items() if "/pay" in path}
    assert found == {
        "pay/": ["get"],
        "pay/ledger.csv": ["get"],
        "pay/rates/": ["get"],
        "pay/requests/": ["get", "post"],
        "pay/weeks/": ["get"],
        "payroll/": ["get"],
        "payroll/ledger.csv": ["get"],
        "payroll/ledger/": ["get"],
        "payroll/people.csv": ["get"],
        "payroll/people/{user_id}/": ["get"],
        "payroll/people/{user_id}/corrections/": ["post"],
        "payroll/people/{user_id}/payments/": ["post"],
        "payroll/people/{user_id}/rates/": ["post"],
        "payroll/people/{user_id}/rates/{rate_id}/": ["delete"],
        "payroll/requests/": ["get"],
        "payroll/requests/{request_id}/": ["get", "post"],
        "payroll/settings/": ["get", "patch"],
        "payroll/warnings/": ["get"],
    }
    for person in (ada, rita):
        for path in ("", "ledger/", "ledger.csv", "people.csv", "settings/", "warnings/", "requests/"):
            assert api(person).get(f"{PAYROLL}{path}").status_code == 403
        assert api(person).post(f"{PAYROLL}people/{ada.pk}/rates/", {}, format="json").status_code == 403
