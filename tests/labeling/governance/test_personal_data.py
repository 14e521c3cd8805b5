"""What the filter finds, and what it leaves alone. Spans are checked to the character."""

from __future__ import annotations

import json
import time

import pytest

from labeling.governance.personal_data import HOLD_AT, KINDS, detector, find_many, scan
from labeling.governance.personal_data.patterns import luhn

# «…» marks the span.
FOUND = {
    "email": [
        "Mail «john.doe+x@example.co.uk».",
        "<«a@b.io»>",
        "write to «a [at] b [dot] com» please",
        "«john (at) gmail (dot) com»",
        "«jane dot roe at gmail dot com»",
        "'«o_neil@müller.de»'",
        "«ａnn＠example.com»",
    ],
    "phone": [
        "Call «+49 30 901820» now",
        "«(212) 555-0187»",
        "«555-123-4567x12» is mine",
        "tel: «020 7946 0958»",
        "my number is «0171 2345678»",
        "WhatsApp «+91 98765 43210»",
        "Ruf an: Telefon «030 901820»",
    ],
    "credit_card": ["«4111 1111 1111 1111»", "card «5500-0000-0000-0004».", "«378282246310005»"],
    "iban": ["«DE89 3704 0044 0532 0130 00» is mine", "«GB29NWBK60161331926819»"],
    "us_ssn": ["my ssn is «123-45-6789»", "SSN: «123456789»"],
    "ip_address": ["my ip is «8.8.8.8»", "ping «2001:4860:4860::8888»"],
    "secret": [
        "key «sk-abcdEFGH1234ijklMNOP5678»",
        "«AKIAIOSFODNN7EXAMPLQ»",
        "api_key = «9f8a7b6c5d4e3f2a1b0c9d8e»",
        "«-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----»",
    ],
    "password": ["my password is «hunter2»"],
    "url_login": ["clone «https://bob:s3cret@host.example»/x"],
    "address": [
        "at «12 Main St, Springfield, IL 62704»",
        "I live at «221b baker street»",
        "«Hauptstraße 12, 10115 Berlin»",
        "au «12 rue de la Paix»",
        "«P.O. Box 123»",
    ],
    "person_name": ["My name is «John Smith».", "Ich heiße «Anna Weber»", "Best regards,\n«Jane Doe»"],
    "birth_date": ["I was born on «12 March 1987»", "DOB: «1990-01-02»", "my birthday is «March 3, 1980»"],
    "id_number": ["passport number: «X1234567»"],
    "uk_nino": ["it is «AB 12 34 56 C»"],
}


@pytest.mark.parametrize(("kind", "marked"), [(kind, text) for kind, texts in FOUND.items() for text in texts])
def test_found_to_the_character(kind, marked):
    start, end = marked.index("«"), marked.index("»") - 1
    text = marked.replace("«", "").replace("»", "")
    found = [span for span in scan(text) if span.score >= HOLD_AT]
    assert [(span.kind, span.start, span.end) for span in found] == [(kind, start, end)]


@pytest.mark.parametrize(
    "text",
    [
        "pi is 3.14159265358",
        "from 1914-1918 to 1939-1945",
        "add 1234567 and 7654321",
        "ISBN 978-3-16-148410-0",
        "1 000 000 000 people",
        "at 2023-01-15 12:30:00",
        "what is 123456789*987654321?",
        "version 1.2.3.4 of it",
        "ping 127.0.0.1 or 192.168.0.1",
        "4111 1111 1111 1112",
        "DE89 3704 0044 0532 0130 01",
        "look at this dot com boom",
        "meet me at noon @ home",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
        "the password: required field",
        "Albert Einstein was born on 14 March 1879",
        "My name is Bob",
        "5 Ways to drive",
        "the 2nd Street Fighter game",
        "@@@@@@",
        "",
    ],
)
def test_left_alone(text):
    assert [span for span in scan(text) if span.score >= HOLD_AT] == []


def test_spans_stay_true_behind_characters_of_other_scripts():
    text = "٠١ 👩‍👩‍👧 ｆｕｌｌ bob@example.com"
    assert [text[span.start : span.end] for span in scan(text)] == ["bob@example.com"]


def test_spans_never_overlap():
    text = "https://bob:s3cret@host.example/x bob@host.example or +49 30 901820 or 4111 1111 1111 1111"
    spans = scan(text)
    assert all(one.end <= two.start for one, two in zip(spans, spans[1:], strict=False))
    assert [span.kind for span in spans] == ["url_login", "email", "phone", "credit_card"]


def test_check_digit_is_the_standards():
    assert luhn("79927398713") and not luhn("79927398710")


@pytest.mark.parametrize(
    "unit",
    ["a", "1", "1 ", "A1 ", "a@", "a.", "a dot ", "a at ", "12 A ", "+12345678 ", "call 0123456 ", "0123456789 "],
)
def test_time_grows_with_the_length_only(unit):
    """A hundred thousand hostile characters in seconds: no pattern runs away."""
    text = unit * (100_000 // len(unit))
    start = time.process_time()
    scan(text)
    assert time.process_time() - start < 5


def test_hardly_a_real_prompt_is_held(shared_data):
    rows = [json.loads(line) for line in (shared_data / "prompts_oasst.jsonl").open()]
    held = [row["prompt"] for row in rows if any(span.score >= HOLD_AT for span in scan(row["prompt"]))]
    assert len(held) <= len(rows) * 0.01, held


def test_many_texts_are_found_like_one():
    texts = ["bob@example.com", "", "nothing here", "call +49 30 901820"] * 3
    assert list(find_many(iter(texts))) == [scan(text) for text in texts]


def test_every_kind_has_a_name():
    assert set(FOUND) <= set(KINDS)


def test_detector_names_its_configuration(monkeypatch, tmp_path):
    before = detector()
    assert (before.name, len(before.configuration)) == ("kwise-personal-data", 64)
    assert before.as_json() == {"name": before.name, "version": before.version, "configuration": before.configuration}
