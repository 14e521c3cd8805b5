from __future__ import annotations

import pytest

from labeling.audit.models import AuditEvent
from labeling.people import services

PASSWORD = "a long password"


def sign_in(client, username, password=PASSWORD, **extra):
    return client.post("/sign-in/", {"username": username, "password": password, **extra})


def test_right_password_leads_home(client, rita):
    assert sign_in(client, "rita").headers["Location"] == "/"
    assert client.get("/").status_code == 200


def test_home_sends_labelers_to_their_work(page, ada):
    assert page(ada).get("/").headers["Location"] == "/work/"


def test_next_leads_back_but_never_to_another_site(client, rita):
    assert sign_in(client, "rita", next="/prompts/").headers["Location"] == "/prompts/"
    assert sign_in(client, "rita", next="https://elsewhere.example/").headers["Location"] == "/"


def test_wrong_password_and_unknown_name_look_the_same(client, rita):
    wrong = sign_in(client, "rita", "nothing like it").content.decode()
    unknown = sign_in(client, "nobody-at-all", "nothing like it").content.decode()
    for said in (wrong, unknown):
        assert "Please enter a correct username and password" in said


def test_deactivated_account_does_not_sign_in(client, cy):
    assert sign_in(client, "cy").status_code == 200
    assert client.get("/account/").status_code == 302


def test_many_wrong_passwords_bring_a_wait_even_for_the_right_one(client, rita):
    for _ in range(services.SIGN_IN_FAILURES):
        assert sign_in(client, "rita", "wrong").status_code == 200
    refused = sign_in(client, "rita")
    assert refused.status_code == 429
    assert "Wait 10 minutes" in refused.content.decode()


def test_waiting_is_for_one_address_not_for_the_account(client, rita):
    for _ in range(services.SIGN_IN_FAILURES):
        sign_in(client, "rita", "wrong")
    assert (
        client.post("/sign-in/", {"username": "rita", "password": PASSWORD}, REMOTE_ADDR="10.0.0.9").status_code == 302
    )


def test_failed_sign_in_is_noted_without_the_address(client, rita):
    sign_in(client, "rita", "wrong")
    event = AuditEvent.objects.get(action="user.sign_in_failed")
    assert event.subject_id == str(rita.pk)
    assert "127.0.0.1" not in str(event.detail)


def test_sign_out_is_a_form_not_a_link(page, rita):
    client = page(rita)
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert client.get("/account/").status_code == 302


@pytest.mark.parametrize("name", ["\x00", "a\x00b", "x" * 100_000, "\ud800", "'; drop table", "ａｄａ"])
def test_hostile_names_are_refused_in_words(client, db, name):
    body = f"username={name}&password=x".encode("utf-8", "surrogatepass")
    answer = client.post("/sign-in/", body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code in (200, 400)
