from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from labeling.people import services
from labeling.people.models import Invitation, User
from labeling.refusals import Conflict, NotFound, Refusal

GOOD = "correct horse battery"


def invite(amy, **changes):
    wanted = {"role": "labeler", "group": "held_out", "days": 7, "created_by": amy, **changes}
    return services.create_invitation(**wanted)


def test_link_makes_one_account_with_its_role_and_group(amy, client):
    _, token = invite(amy)
    assert "labeler" in client.get(f"/join/{token}/").content.decode().lower()
    answer = client.post(f"/join/{token}/", {"username": "dee", "password": GOOD})
    assert answer.headers["Location"] == "/"
    assert client.get("/account/").status_code == 200, "who joined is signed in"
    dee = User.objects.get(username="dee")
    assert (dee.role, dee.group, dee.invitation.created_by) == ("labeler", "held_out", amy)


def test_only_the_hash_of_the_token_is_kept(amy):
    _, token = invite(amy)
    assert token not in str(Invitation.objects.values().get())


def test_wrong_link_is_not_found_and_used_one_is_gone(amy, client):
    assert client.get("/join/nonsense/").status_code == 404
    _, token = invite(amy)
    services.accept_invitation(token=token, username="dee", password=GOOD)
    for answer in (client.get(f"/join/{token}/"), client.post(f"/join/{token}/", {"username": "e", "password": GOOD})):
        assert answer.status_code == 410
        assert "used already" in answer.content.decode()


def test_expired_and_withdrawn_links_are_gone(amy, client):
    old, old_token = invite(amy)
    Invitation.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    withdrawn, withdrawn_token = invite(amy)
    services.revoke_invitation(invitation_id=withdrawn.pk, actor=amy)
    assert "expired" in client.get(f"/join/{old_token}/").content.decode()
    assert "withdrawn" in client.get(f"/join/{withdrawn_token}/").content.decode()
    for token in (old_token, withdrawn_token):
        assert client.post(f"/join/{token}/", {"username": "dee", "password": GOOD}).status_code == 410
    assert not User.objects.filter(username="dee").exists()


def test_weak_password_and_taken_name_leave_the_link_good(amy, ada, client):
    _, token = invite(amy)
    for fields in ({"username": "dee", "password": "short"}, {"username": "Ada", "password": GOOD}, {}):
        assert client.post(f"/join/{token}/", fields).status_code == 400
    assert client.post(f"/join/{token}/", {"username": "dee", "password": GOOD}).status_code == 302


@pytest.mark.parametrize(
    "changes", [{"days": 0}, {"days": 91}, {"group": "simulated"}, {"group": "researcher"}, {"note": "x" * 121}]
)
def test_invitation_that_cannot_be_is_refused(amy, changes):
    with pytest.raises(Refusal):
        invite(amy, **changes)


def test_accepted_invitation_cannot_be_revoked(amy):
    row, token = invite(amy)
    services.accept_invitation(token=token, username="dee", password=GOOD)
    with pytest.raises(Conflict):
        services.revoke_invitation(invitation_id=row.pk, actor=amy)
    with pytest.raises(NotFound):
        services.revoke_invitation(invitation_id=10**6, actor=amy)


def test_page_makes_a_link_that_works_and_lists_it(page, amy, client):
    made = page(amy).post("/people/invitations/", {"role": "labeler", "group": "training", "days": "3", "note": "Dee"})
    assert made.status_code == 201
    assert client.get(made.context["link"].removeprefix("http://testserver")).status_code == 200
    listed = page(amy).get("/people/invitations/").content.decode()
    assert "Dee" in listed and made.context["link"] not in listed


@pytest.mark.django_db(transaction=True)
def test_link_pressed_eight_times_at_once_makes_one_account():
    amy = User.objects.create_user("amy", role="admin", group="researcher")
    _, token = invite(amy)
    start, refused = threading.Barrier(8), []

    def press(number: int) -> None:
        start.wait()
        try:
            services.accept_invitation(token=token, username=f"dee-{number}", password=GOOD)
        except services.InvitationGone as gone:
            refused.append(gone)
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert User.objects.filter(username__startswith="dee").count() == 1
