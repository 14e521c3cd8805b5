"""German says all that English says. `make messages` gathers what is new."""

from __future__ import annotations

import ast
import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.utils import translation

from labeling.people.services import change_language
from tests.browser.test_axe import pages_of
from tests.invariants.conftest import world  # noqa: F401, a fixture
from tests.locale.catalog import ROOT, compiled, entries, sources, wanted

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*(?:![rs])?(?::[^}]*)?\}|</?[a-z]+[^>]*>")
# Names, which are the same in every language.
NAMES = {"Kwise", "SHA-256", "manifest.json", "prompt."}
SCRIPTS = {path: text for path, text in sources("static/js", ".js") if not path.name.startswith("words")}
SAID = re.compile(r'\bt\(\s*("(?:[^"\\]|\\.)*")')
WORDS = re.compile(r'^  ("(?:[^"\\]|\\.)*"): ("(?:[^"\\]|\\.)*"),$', re.MULTILINE)


def test_every_message_has_its_german():
    known = {entry.key for entry in entries() if all(entry.translations) and not entry.fuzzy}
    lacking = {key: path for key, path in wanted().items() if key not in known}
    assert lacking == {}, "run `make messages` and fill in locale/de/LC_MESSAGES/django.po"
    assert [entry.key for entry in entries() if entry.key not in known] == []


def test_what_is_served_was_compiled_from_what_is_written():
    assert compiled() == {entry.key: entry.translations for entry in entries()}, "run `make messages`"


def test_german_keeps_every_value_and_tag():
    wrong = []
    for entry in entries():
        asked = [entry.key, entry.plural or entry.key]
        for english, german in zip(asked, entry.translations, strict=False):
            if sorted(PLACEHOLDER.findall(english)) != sorted(PLACEHOLDER.findall(german)):
                wrong.append((english, german))
    assert wrong == []


def test_every_word_of_the_scripts_has_its_german():
    said = {ast.literal_eval(text) for script in SCRIPTS.values() for text in SAID.findall(script)}
    german = {
        ast.literal_eval(english): ast.literal_eval(word)
        for english, word in WORDS.findall((ROOT / "static/js/words.de.js").read_text(encoding="utf-8"))
    }
    assert set(german) == said
    values = re.compile(r"\{\w+\}")
    assert [text for text in said if sorted(values.findall(text)) != sorted(values.findall(german[text]))] == []


def test_scripts_say_nothing_but_by_t():
    """A literal with a capital and a space is a sentence; one that an element is given as its text is a word."""
    loose = []
    for path, script in SCRIPTS.items():
        script = re.sub(r"/\*.*?\*/|^\s*//.*$|\s// .*$", "", script, flags=re.DOTALL | re.MULTILINE)
        script = re.sub(rf"{SAID.pattern}", "t(", script)
        loose += [(path.name, text) for text in re.findall(r'["`][A-Z][a-z]+ [^"`\n]*["`]', script)]
        loose += [
            (path.name, text)
            for text in re.findall(
                r'(?:textContent|innerText|title|placeholder|ariaLabel) = ["`][^"`]*[a-z]{2}', script
            )
        ]
        loose += [(path.name, text) for text in re.findall(r'"aria-label", ["`][^"`$]*[a-z]{2}', script)]
    assert loose == []


class Loose(HTMLParser):
    """Text and attributes that a template has outside of its translations."""

    SPOKEN = {"aria-label", "title", "placeholder", "alt", "data-confirm"}
    SILENT = {"script", "style", "code", "kbd", "svg", "title"}

    def __init__(self, template: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.within: list[str] = []
        template = re.sub(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", "", template, flags=re.DOTALL)
        # What stands in these blocks is no text: a class, attributes, an address.
        template = re.sub(r"\{% block (body_class|root|script) %\}.*?\{% endblock %\}", "", template)
        template = re.sub(r"\{% blocktranslate.*?\{% endblocktranslate %\}", "", template, flags=re.DOTALL)
        self.feed(re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", template, flags=re.DOTALL))
        self.close()

    def handle_starttag(self, tag: str, attributes: list) -> None:
        if tag in self.SILENT:
            self.within.append(tag)
        self.found += [value for name, value in attributes if name in self.SPOKEN and has_words(value)]

    def handle_endtag(self, tag: str) -> None:
        if self.within and self.within[-1] == tag:
            self.within.pop()

    def handle_data(self, text: str) -> None:
        if not self.within and has_words(text):
            self.found.append(text.strip())


def has_words(text: str | None) -> bool:
    return bool(text) and text.strip(" \n·") not in NAMES and re.search(r"[A-Za-z]{2}", text) is not None


def test_templates_have_no_words_of_their_own():
    found = {str(path.relative_to(ROOT)): Loose(text).found for path, text in sources("templates", ".html")}
    assert {path: words for path, words in found.items() if words} == {}


def test_templates_write_months_by_the_readers_format():
    dates = {
        str(path.relative_to(ROOT)): found
        for path, text in sources("templates", ".html")
        if (found := re.findall(r'\|date:"[^"]*\b[MNFbE]\b[^"]*"', text))
    }
    assert dates == {}, "use DATE_FORMAT or DATETIME_FORMAT (config/formats)"


def test_refusals_and_labels_are_translated():
    """A refusal's sentence, a message and a field's label are never bare text."""
    trees = {path: ast.parse(text) for path, text in sources("labeling", ".py")}
    names = {"Refusal"}
    while True:
        more = {
            node.name
            for tree in trees.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") in names for base in node.bases)
        }
        if more <= names:
            break
        names |= more
    bare = []
    for path, tree in trees.items():
        if {"management", "simulation"} & set(path.parts):
            continue  # commands speak English
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            asked = call.args[:1] if getattr(call.func, "id", "") in names else []
            if getattr(getattr(call.func, "value", None), "id", "") == "messages":
                asked = call.args[1:2]
            if path.name == "forms.py":
                asked = asked + [
                    each.value for each in call.keywords if each.arg in ("label", "help_text", "empty_label")
                ]
            bare += [(str(path.relative_to(ROOT)), each.lineno) for each in asked if is_bare(each)]
    assert bare == []


def is_bare(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and bool(node.value))


@pytest.fixture
def in_german():
    yield
    translation.activate("en")


class Texts(HTMLParser):
    """The pieces of text that a page shows, less what people and models wrote (dir="auto") and what is code."""

    VOID = {"meta", "link", "input", "br", "img", "hr", "path", "rect"}

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: set[str] = set()
        self.open: list[tuple[str, bool]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        given = dict(attributes)
        silent = tag in ("script", "style", "code", "kbd", "svg", "pre") or "dir" in given or given.get("lang")
        if tag == "html":
            silent = False
        self.texts |= {value for name, value in attributes if name in Loose.SPOKEN and value}
        if tag not in self.VOID:
            self.open.append((tag, bool(silent)))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, text: str) -> None:
        if not any(silent for _tag, silent in self.open):
            self.texts.add(" ".join(text.split()))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", ["ada", "rita", "amy"])
def test_no_page_has_an_english_sentence_left(world, request, client, who, in_german):  # noqa: F811
    english = {
        entry.key.split("\x04")[-1]
        for entry in entries()
        if entry.key not in entry.translations and " " in entry.key and "%(" not in entry.key
    }
    person = request.getfixturevalue(who)
    change_language(user=person, language="de")
    client.force_login(person)
    left, seen = {}, 0
    for address in pages_of(person):
        page = client.get(address).content.decode()
        assert '<html lang="de"' in page, address
        seen += 1
        if found := {html.unescape(text) for text in Texts(page).texts} & english:
            left[address] = found
    assert left == {} and seen > 5


def test_formats_are_the_readers():
    with translation.override("de"):
        from labeling.templatetags.shares import interval, percent

        assert percent(0.7264) == "72,6 %" and interval((0.71, 0.742)) == "71,0 % bis 74,2 %"
    assert Path(ROOT / "config" / "formats" / "de" / "formats.py").is_file()
