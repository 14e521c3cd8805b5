"""What people and teams choose: keys, what to be spared, the team's figures."""

from __future__ import annotations

import html
import json
import re

import pytest

from labeling.audit.models import AuditEvent
from labeling.people.keys import COMMANDS, keys_in_use, read_keys
from labeling.people.models import Sensitive, TeamSettings
from labeling.people.queries import team_settings
from labeling.refusals import Refusal

pytestmark = pytest.mark.django_db
FIGURES = {
    "lease_seconds": 600,
    "lease_grace_seconds": 30,
    "ahead_seconds": 60,
    "idle_seconds": 45,
    "correction_hours": 48,
    "survey_minimum": 7,
    "check_percent": 8,
    "check_anchor_days": 60,
    "check_alert_percent": 50,
    "time_zone": "Europe/Berlin",
}


def test_keys_that_differ_are_kept():
    assert read_keys({}) == {}
    assert read_keys({"undo": "U", "skip": " x ", "note": "f2", "compare": ""}) == {
        "skip": "x",
        "note": "F2",
        "compare": "",
    }
    # Two that change places.
    assert read_keys({"undo": "r", "step": "u"}) == {"undo": "r", "step": "u"}


@pytest.mark.parametrize("key", ["s", "5", "xy", "ü", "F5"])
def test_keys_that_cannot_be_are_refused(key):
    for keys in ({"undo": key}, {"fly": "x"}):
        with pytest.raises(Refusal):
            read_keys(keys)


def test_a_chosen_key_is_taken_from_the_command_that_has_it_by_custom(ada, page):
    # As stored before there was a preview.
    ada.keys = {"note": "F9"}
    ada.save()
    assert keys_in_use(ada.keys)["preview"] == "" and keys_in_use(ada.keys)["note"] == "F9"
    client = page(ada)
    shown = client.get("/account/keys/").content.decode()
    assert shown.count('value="F9"') == 1
    # What the page shows can be stored as it is.
    assert client.post("/account/keys/", {**keys_in_use(ada.keys), "letter_keys": "on"}).status_code == 302


def keys_on(page) -> dict:
    return json.loads(html.unescape(re.search(r'data-keys="([^"]*)"', page.content.decode())[1]))


def test_keys_reach_every_page_of_their_owner(ada, page):
    client = page(ada)
    usual = {command: key for command, (key, _label) in COMMANDS.items()}
    assert keys_on(client.get("/account/keys/")) == {"off": False}
    assert client.post("/account/keys/", {**usual, "skip": "x"}).status_code == 302
    assert keys_on(client.get("/work/")) == {"off": True, "skip": "x"}
    refused = client.post("/account/keys/", {**usual, "skip": "u", "letter_keys": "on"})
    assert refused.status_code == 400 and "two commands" in refused.content.decode()
    assert client.post("/account/keys/", {"usual": "1"}).status_code == 302
    assert keys_on(client.get("/work/")) == {"off": False}


def test_opting_out(ada, page):
    client = page(ada)
    assert "pay and your standing do not change" in client.get("/account/").content.decode()
    assert client.post("/account/opt-out/", {"categories": ["violence", "hate"]}).status_code == 302
    ada.refresh_from_db()
    assert ada.opted_out == ["hate", "violence"]
    assert client.get("/account/").content.decode().count("checked") == 2
    assert client.post("/account/opt-out/", {"categories": ["everything"]}).status_code == 400
    assert client.post("/account/opt-out/", {}).status_code == 302
    ada.refresh_from_db()
    assert ada.opted_out == []
    # Nobody reads in the audit trail what somebody would rather not see.
    assert not AuditEvent.objects.exists()


def test_settings_of_the_team(amy, rita, page):
    assert (team_settings().lease_seconds, team_settings().correction_hours) == (900, 24)
    client = page(amy)
    assert client.get("/settings/").status_code == 200
    assert client.post("/settings/", FIGURES).status_code == 302
    assert client.post("/settings/", FIGURES).status_code == 302
    held = TeamSettings.objects.get()
    assert {name: getattr(held, name) for name in FIGURES} == FIGURES
    event = AuditEvent.objects.get()
    assert (event.action, event.detail["before"]["lease_seconds"]) == ("settings.changed", 900)
    wrong = {"lease_seconds": 59, "time_zone": "Mars/Olympus", "idle_seconds": "x", "correction_hours": ""}
    for name, value in wrong.items():
        assert client.post("/settings/", FIGURES | {name: value}).status_code == 400
    assert TeamSettings.objects.get().lease_seconds == 600
    assert page(rita).get("/settings/").status_code == 403


def test_every_category_has_a_name():
    assert len(set(Sensitive.labels)) == len(Sensitive.values) == 7
