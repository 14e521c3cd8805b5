"""Sources: what an admin sets, keys that are shown once, and what programs send with them."""

from __future__ import annotations

import json
import threading

import pytest
import redis
from django.conf import settings as django_settings
from django.db import connection

from labeling.governance import services as governance
from labeling.intake import rates, sources
from labeling.intake.models import Import, Prompt, Source, SourceKey, SourceUser
from labeling.refusals import Conflict, Refusal, TooMany
from tests.races.conftest import together

URL = "/api/v1/prompts/"


@pytest.fixture
def mail(amy) -> Source:
    source = sources.create_source(name="mail", actor=amy, terms_version="2026-01")
    redis.Redis.from_url(django_settings.BROKER_URL).delete(f"kwise:rate:{source.pk}")
    return source


@pytest.fixture
def sending(api, mail, amy):
    """A program with a key of `mail`, which posts bodies."""
    program = api()
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {sources.create_key(source_id=mail.pk, name='site', actor=amy)[1]}")
    return lambda body: program.post(URL, data=json.dumps(body), content_type="application/json")


def prompt(text: str = "Why?", **more) -> dict:
    return {"prompt": text, "user_id": "u", "consent": True, **more}


def test_a_key_sends_prompts_of_its_source_with_consent_and_times(sending, mail):
    body = prompt(
        external_id="7", terms_version="2025-06", consented_at="2025-07-01T00:00:00Z", time="2026-01-31T12:00:00+01:00"
    )
    answer = sending(body)
    assert answer.status_code == 201
    stored = Prompt.objects.get()
    assert answer.json()["prompts"] == [{"line": 1, "id": str(stored.pk), "state": "accepted"}]
    assert (stored.source, stored.consent, stored.external_id) == (mail, "2025-06", "7")
    assert stored.written_at.isoformat() == "2026-01-31T11:00:00+00:00" and stored.consented_at.year == 2025
    # That somebody agreed is that they agreed to the source's terms.
    sending(
        {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hm?"}], "consent": True}
    )
    assert Prompt.objects.get(external_id="").consent == "2026-01"


def test_sending_again_changes_nothing_and_gives_the_same_answer(sending):
    first = sending(prompt(external_id="7")).json()["prompts"][0]
    again = sending(prompt(external_id="7"))
    assert again.status_code == 200 and again.json()["prompts"] == [{**first, "already": True}]
    many = sending({"prompts": [prompt(external_id="7"), prompt("New?", external_id="8")]})
    assert many.status_code == 201 and many.json()["accepted"] == 1
    assert [each.get("already", False) for each in many.json()["prompts"]] == [True, False]
    other = sending(prompt("Other?", external_id="7"))
    assert (other.status_code, other.json()["error"]["code"]) == (409, "external_id_conflict")
    assert other.json()["error"]["prompt"] == first["id"]


def test_what_does_not_go_in_has_a_reason_and_is_counted_by_day(sending, mail):
    bad = [
        (prompt(consent=False), "no_consent"),
        (prompt(consent=""), "no_consent"),
        (prompt(source="other"), "other_source"),
        (prompt("word " * 1100), "too_many_tokens"),
        (prompt(time="yesterday"), "wrong_type"),
        (prompt(time="2026-01-31T12:00:00"), "wrong_type"),
        (prompt(consent="3", terms_version="4"), "wrong_type"),
    ]
    for body, code in bad:
        answer = sending(body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    answer = sending({"prompts": [body for body, _code in bad] + [prompt()]}).json()
    assert answer["accepted"] == 1 and sum(answer["rejected"].values()) == len(bad)
    day = Import.objects.get()
    assert (day.sent_to, day.accepted, day.line, day.state) == (mail, 1, 2 * len(bad) + 1, "open")
    assert [problem.line for problem in day.problems.order_by("line")] == [*range(1, 2 * len(bad) + 1)]


def test_a_key_opens_nothing_else_and_nothing_once_revoked(api, sending, mail, amy):
    row, key = sources.create_key(source_id=mail.pk, name="other", actor=amy)
    program = api()
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    assert program.get(URL).status_code == 403
    for address in ("/api/v1/imports/", "/api/v1/sources/", "/api/v1/prompts/triage/"):
        assert program.get(address).status_code == 401
    assert key not in str(SourceKey.objects.values()) and row.ending == key[-4:]
    sources.revoke_key(source_id=mail.pk, key_id=row.pk, actor=amy)
    assert program.post(URL, prompt(), format="json").status_code == 401
    assert sending(prompt()).status_code == 201
    program.credentials(HTTP_AUTHORIZATION="Bearer kws_nothing")
    assert program.post(URL, prompt(), format="json").status_code == 401


def test_a_source_that_sends_too_fast_is_told_how_long_to_wait(sending, mail):
    Source.objects.filter(pk=mail.pk).update(rate_per_minute=3)
    assert sending({"prompts": [prompt(str(n)) for n in range(3)]}).status_code == 201
    late = sending(prompt("late"))
    assert late.status_code == 429 and late.json()["error"]["code"] == "too_many"
    assert 15 <= int(late.headers["Retry-After"]) == late.json()["error"]["retry_after"] <= 21
    assert not Prompt.objects.filter(messages__0__content="late").exists()


def test_a_bucket_gives_no_more_than_it_has_to_thirty_two_at_once(mail):
    mail.rate_per_minute = 10
    passed = []

    def send() -> None:
        try:
            rates.take(source=mail, prompts=1)
            passed.append(1)
        except TooMany:
            pass

    threads = [threading.Thread(target=send) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 10


def test_more_at_once_than_a_minute_allows_pass_and_leave_a_debt(mail):
    mail.rate_per_minute = 10
    rates.take(source=mail, prompts=40)
    with pytest.raises(TooMany) as refused:
        rates.take(source=mail, prompts=1)
    assert 180 <= refused.value.detail["retry_after"] <= 187


def test_without_redis_nobody_is_held_back(mail, settings):
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    mail.rate_per_minute = 1
    for _ in range(3):
        rates.take(source=mail, prompts=1)


@pytest.mark.django_db(transaction=True)
def test_programs_that_send_at_once_are_all_counted(mail):
    def send(number: int):
        rows = [{"prompt": f"{number}/{n}", "consent": True, "external_id": f"{n}"} for n in range(5)]
        return governance.import_sent(source=mail, rows=rows)

    done = together(*[lambda number=number: send(number) for number in range(6)])
    assert [each for each in done if isinstance(each, Exception)] == []
    day = Import.objects.get()
    assert Prompt.objects.count() == day.accepted == 5
    assert (day.line, day.rejected) == (30, {"external_id_conflict": 25})
    assert day.problems.values("line").distinct().count() == 25


def test_shares_and_cap_of_a_source_are_its_own(mail, amy):
    sources.change_source(
        source_id=mail.pk, actor=amy, train_percent=0, valid_percent=100, test_percent=0, prompts_per_user=2
    )
    rows = [prompt(f"{user} {n}", user_id=user, source="mail") for user in "abcdefgh" for n in range(3)]
    done = governance.import_prompts(rows=enumerate(rows, 1), name="n")
    assert (done.accepted, done.rejected) == (16, {"user_cap": 8})
    assert set(SourceUser.objects.values_list("split", flat=True)) == {"valid"}
    with pytest.raises(Conflict, match="has users already"):
        sources.change_source(source_id=mail.pk, actor=amy, train_percent=50, valid_percent=50)
    sources.change_source(source_id=mail.pk, actor=amy, prompts_per_user=3, train_percent=0)
    assert governance.import_prompts(rows=enumerate(rows, 1), name="n").accepted == 8


def test_another_salt_is_noticed_before_it_moves_anybody(db, settings):
    rows = [(1, {"prompt": "a", "user_id": "u"})]
    governance.import_prompts(rows=rows, name="n")
    settings.PROJECT_SALT = "another"
    with pytest.raises(Conflict, match="PROJECT_SALT"):
        governance.import_prompts(rows=[(1, {"prompt": "b", "user_id": "v"})], name="n")
    assert not SourceUser.objects.filter(external_id="v").exists()


@pytest.mark.django_db(transaction=True)
def test_shares_never_change_under_an_import(amy):
    source = sources.create_source(name="mail", actor=amy)
    rows = [{"prompt": f"{n}", "user_id": f"{n}", "source": "mail"} for n in range(60)]

    def bring():
        governance.import_prompts(rows=enumerate(rows, 1), name="n")

    def change():
        sources.change_source(source_id=source.pk, actor=amy, train_percent=0, valid_percent=0, test_percent=100)

    _brought, changed = together(bring, change)
    splits = set(SourceUser.objects.values_list("split", flat=True))
    assert splits == {"test"} if changed is None else isinstance(changed, Conflict) and splits >= {"train"}
    connection.close()


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"train_percent": 90},
        {"train_percent": "x"},
        {"train_percent": -1, "valid_percent": 91},
        {"train_percent": 79.999, "valid_percent": 10.001},
        {"train_percent": float("nan")},
        {"prompts_per_user": 0},
        {"rate_per_minute": True},
        {"rate_per_minute": "7"},
        {"terms_version": "a\x00b"},
    ],
)
def test_what_no_source_can_have_is_refused_in_words(amy, api, fields):
    with pytest.raises(Refusal):
        sources.create_source(actor=amy, **{"name": "s", **fields})
    if fields.get("train_percent") == fields.get("train_percent"):  # JSON has no NaN
        assert api(amy).post("/api/v1/sources/", {"name": "s", **fields}, format="json").status_code == 400
    assert not Source.objects.exists()


def test_pages_of_sources(page, amy, rita):
    admin = page(amy)
    fields = {"name": "mail", "terms_version": "1", "rate_per_minute": 60, "prompts_per_user": 20}
    shares = {"train_percent": 70, "valid_percent": 20, "test_percent": 10}
    assert admin.post("/sources/new/", {**fields, **shares, "test_percent": 20}).status_code == 400
    address = admin.post("/sources/new/", {**fields, **shares}).headers["Location"]
    assert admin.post("/sources/new/", {**fields, **shares}).status_code == 409
    shown = admin.post(f"{address}keys/", {"name": "site"})
    key = shown.context["new_key"]
    assert key in shown.content.decode() and "no-store" in shown.headers["Cache-Control"]
    assert key not in admin.get(address).content.decode()
    governance.import_prompts(rows=[(1, prompt(source="mail"))], name="n")
    changed = {**fields, **shares, "rate_per_minute": 9, "train_percent": 60, "test_percent": 20}
    assert admin.post(address, changed).status_code == 302
    source = Source.objects.get()
    assert (source.rate_per_minute, source.train_percent) == (9, 70), "what is fixed is not read from the form"
    looked = page(rita).get(address).content.decode()
    assert (
        "Revoke" not in looked and "Make a key" not in looked and "mail" in page(rita).get("/sources/").content.decode()
    )
    row = SourceKey.objects.get()
    assert page(rita).post(f"{address}keys/{row.pk}/revoke/").status_code == 403
    assert admin.post(f"{address}keys/{row.pk}/revoke/").status_code == 302
    assert "revoked" in admin.get(address).content.decode()


def test_sources_over_the_api(api, amy, rita):
    admin, looker = api(amy), api(rita)
    made = admin.post("/api/v1/sources/", {"name": "mail", "prompts_per_user": 5}, format="json").json()
    address = f"/api/v1/sources/{made['id']}/"
    assert (made["prompts_per_user"], made["train_percent"]) == (5, 80.0)
    assert looker.patch(address, {"rate_per_minute": 5}, format="json").status_code == 403
    assert admin.patch(address, {"rate_per_minute": 5}, format="json").json()["rate_per_minute"] == 5
    assert admin.patch(address, {"colour": 5}, format="json").status_code == 400
    key = admin.post(f"{address}keys/", {"name": "site"}, format="json").json()
    assert key["key"].endswith(key["ending"])
    listed = looker.get(address).json()
    assert [each["name"] for each in listed["keys"]] == ["site"] and key["key"] not in str(listed)
    assert listed["splits"]["all"] == {"users": 0, "prompts": 0}
    assert admin.post(f"{address}keys/{key['id']}/revoke/").json()["revoked_at"]
    assert [each["name"] for each in looker.get("/api/v1/sources/").json()["sources"]] == ["mail"]
