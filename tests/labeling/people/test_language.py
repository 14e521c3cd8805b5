"""Which language a page is in: the person's, else this browser's, else what the browser asks for."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from labeling.people import services
from labeling.refusals import Refusal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english_again():
    yield
    translation.activate("en")


def language_of(answer) -> str:
    return re.search(r'<html lang="(\w+)"', answer.content.decode())[1]


def test_a_page_is_in_the_language_that_the_browser_asks_for(client):
    assert language_of(client.get("/sign-in/")) == "en"
    german = client.get("/sign-in/", headers={"accept-language": "de-AT,de;q=0.9,en;q=0.5"})
    assert language_of(german) == german.headers["Content-Language"] == "de"
    assert "Accept-Language" in german.headers["Vary"]
    assert "words.de.js" in german.content.decode()
    assert language_of(client.get("/sign-in/", headers={"accept-language": "fr"})) == "en"


def test_the_choice_before_signing_in_holds_in_this_browser(client):
    there = client.post("/language/", {"language": "de", "next": "/sign-in/?next=/work/"})
    assert there.headers["Location"] == "/sign-in/?next=/work/"
    german = client.get("/sign-in/")
    assert language_of(german) == "de" and '<option value="de" lang="de" selected>' in german.content.decode()
    client.post("/language/", {"language": ""})
    assert language_of(client.get("/sign-in/")) == "en"


def test_the_persons_choice_holds_in_every_browser(ada, page):
    page(ada).post("/language/", {"language": "de", "next": "/account/"})
    ada.refresh_from_db()
    assert ada.language == "de"
    other = page(ada)
    assert language_of(other.get("/work/", headers={"accept-language": "en"})) == "de"
    other.post("/language/", {"language": "", "next": "/account/"})
    assert language_of(other.get("/work/", headers={"accept-language": "en"})) == "en"


def test_it_leads_back_to_no_other_site(client):
    for back in ("https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)", ""):
        assert client.post("/language/", {"language": "de", "next": back}).headers["Location"] == "/"


def test_a_language_that_kwise_does_not_speak_is_refused(ada, page):
    with pytest.raises(Refusal):
        services.change_language(user=ada, language="tlh")
    assert page(ada).post("/language/", {"language": "tlh"}).status_code == 400


def test_knowing_the_language_asks_the_database_nothing(ada, page):
    client = page(ada)
    counts = []
    for language in ("", "de"):
        services.change_language(user=ada, language=language)
        client.get("/account/")
        with CaptureQueriesContext(
            connection,
        ) as asked:
            client.get("/account/")
        counts.append([row["sql"] for row in asked if '"labeling_user"' in row["sql"] and "SELECT" in row["sql"]])
    assert len(counts[0]) == len(counts[1]) == 1


def test_refusals_by_the_api_follow_it_and_their_codes_do_not(ada, page):
    client = page(ada)
    english = client.post("/api/v1/tasks/no-such-task/submit/", "{}", content_type="application/json").json()
    services.change_language(user=ada, language="de")
    german = client.post("/api/v1/tasks/no-such-task/submit/", "{}", content_type="application/json").json()
    assert german["error"]["code"] == english["error"]["code"]
    assert german["error"]["message"] != english["error"]["message"]
