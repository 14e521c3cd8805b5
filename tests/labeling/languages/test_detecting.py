"""Prompts get the language that they are in, once, and again by another detector."""

from __future__ import annotations

import pytest

from labeling import jobs
from labeling.languages import detecting, services
from labeling.languages.models import PromptLanguage
from tests.factories import make_prompt

TEXTS = {
    "Schreibe ein Gedicht über den Herbst und seine Farben.": "de",
    "Write a short poem about autumn and its colours.": "en",
    "Écris un petit poème sur l'automne et ses couleurs.": "fr",
    "¿Para qué se puede usar una turbina Francis en la industria?": "es",
    "Напиши короткое стихотворение о том, как осенью падают листья.": "ru",
    "秋についての短い詩を書いてください。": "ja",
    "123 + 4": "und",
    "😀": "und",
    "hi": "und",
}


def test_languages_of_texts():
    assert {text: detecting.detect(text)[0] for text in TEXTS} == TEXTS
    assert all(0 < detecting.detect(text)[1] <= 1 for text in ("", "\u202e", "a" * 10_000))


def test_real_prompts_in_english_are_told(shared_data):
    import json

    rows = (shared_data / "prompts_oasst.jsonl").read_text(encoding="utf-8").splitlines()
    found = [detecting.detect(json.loads(row)["prompt"])[0] for row in rows]
    assert found.count("en") / len(found) > 0.93


@pytest.mark.django_db
def test_each_prompt_once_and_again_by_another_detector(page, api, amy, monkeypatch):
    german = make_prompt("Schreibe ein Gedicht über den Herbst und seine Farben.")
    english = make_prompt(
        messages=[
            {"role": "system", "content": "Du bist ein freundlicher Assistent und antwortest immer auf Deutsch."},
            {"role": "user", "content": "Write a short poem about autumn and its colours."},
        ]
    )
    job = services.keep_up()
    assert services.keep_up() == job, "one at a time"
    assert jobs.run_now(str(job.pk)).result == {"named": 2}
    assert services.keep_up() is None and services.detect_all() == 0
    assert PromptLanguage.objects.get(prompt=english).code == "en"
    assert PromptLanguage.objects.get(prompt=german).detector == detecting.detector()
    found = api(amy).get("/api/v1/prompts/?language=de").json()["prompts"]
    assert [(each["id"], each["language"]) for each in found] == [(str(german.pk), "de")]
    assert "German (1)" in page(amy).get("/prompts/").content.decode()
    assert "py3langid" in page(amy).get(f"/prompts/{german.pk}/").content.decode()
    monkeypatch.setattr(services, "detector", lambda: "another")
    assert jobs.run_now(str(services.keep_up().pk)).result == {"named": 2}
