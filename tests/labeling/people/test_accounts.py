from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from labeling.audit.models import AuditEvent
from labeling.people import services
from labeling.people.models import ApiToken, User
from labeling.refusals import Conflict, NotFound, Refusal

GOOD = "correct horse battery"


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def test_new_account_signs_in(client, amy):
    made = services.create_user(username="dee", password=GOOD, role="labeler", group="held_out", created_by=amy)
    assert client.login(username="dee", password=GOOD)
    assert (made.role, made.group, actions()) == ("labeler", "held_out", ["user.created"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "short"}, "too short"),
        ({"password": "password123"}, "too common"),
        ({"username": "a b"}, "username"),
        ({"username": ""}, "username"),
        ({"username": "x" * 151}, "username"),
        ({"username": "a\x00"}, "NUL"),
        ({"group": "researcher"}, "cannot be in the group"),
        ({"role": "king"}, "no role"),
        ({"display_name": "x" * 81}, "display_name"),
    ],
)
def test_account_that_cannot_be_is_refused(db, changes, words):
    wanted = {"username": "dee", "password": GOOD, "role": "labeler", "group": "training", **changes}
    with pytest.raises(Refusal, match=words):
        services.create_user(**wanted)
    assert not User.objects.exists()


def test_taken_name_is_refused_in_any_letter_case(ada):
    with pytest.raises(Conflict, match="taken"):
        services.create_user(username="ADA", password=GOOD, role="labeler", group="training")


def test_token_opens_the_api_until_it_is_revoked(api, rita):
    row, token = services.create_token(user=rita, name="script")
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert client.get("/api/v1/prompts/").status_code == 200
    assert token not in str(ApiToken.objects.values().get())
    services.revoke_token(token_id=row.pk, user=rita)
    assert client.get("/api/v1/prompts/").status_code == 401


def test_token_of_another_is_not_found(ada, bo):
    row, _ = services.create_token(user=ada, name="mine")
    with pytest.raises(NotFound):
        services.revoke_token(token_id=row.pk, user=bo)


def test_tokens_are_few(ada):
    for number in range(services.TOKENS_PER_PERSON):
        services.create_token(user=ada, name=str(number))
    with pytest.raises(Conflict, match="revoke one"):
        services.create_token(user=ada, name="more")


def test_account_page_shows_a_token_once(page, ada):
    client = page(ada)
    made = client.post("/account/tokens/", {"name": "script"})
    token = made.context["new_token"]
    assert made.status_code == 201 and token in made.content.decode()
    assert "no-store" in made.headers["Cache-Control"]
    assert token not in client.get("/account/").content.decode()
    row = ApiToken.objects.get()
    assert client.post(f"/account/tokens/{row.pk}/revoke/").status_code == 302
    assert list(client.get("/account/").context["tokens"]) == []


def test_password_change_keeps_this_browser_and_ends_others(page, ada):
    here, there = page(), page()
    for client in (here, there):
        client.post("/sign-in/", {"username": "ada", "password": "a long password"})
    fields = {"old_password": "a long password", "new_password1": GOOD, "new_password2": GOOD}
    assert here.post("/account/password/", fields).status_code == 302
    assert here.get("/account/").status_code == 200
    assert there.get("/account/").status_code == 302
    assert actions() == ["user.password_set"]


def test_commands_make_an_account_and_set_its_password(db, client, monkeypatch, capsys):
    monkeypatch.setenv("KWISE_PASSWORD", GOOD)
    call_command("create_user", "root", role="admin")
    assert "root can sign in as admin" in capsys.readouterr().out
    monkeypatch.setenv("KWISE_PASSWORD", GOOD + " 2")
    call_command("set_password", "root")
    assert client.login(username="root", password=GOOD + " 2")
    monkeypatch.setenv("KWISE_PASSWORD", "short")
    with pytest.raises(CommandError, match="too short"):
        call_command("set_password", "root")
