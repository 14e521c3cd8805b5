"""The packaged practice tasks: whole, consistent, and shown in whatever language there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labeling.people.keys import COMMANDS
from labeling.practice import content
from labeling.practice.content import merged, practice_task, practice_tasks, read_file

ROOT = Path(__file__).parents[3]
TEXTS = {"title", "prompt", "lesson", "text", "why", "answer"}
LANGUAGES = [path.name.split(".")[1] for path in content.CONTENT.glob("practice.*.toml")]


def leaves(table: dict, path: tuple = ()) -> dict:
    found = {}
    for name, value in table.items():
        found |= leaves(value, (*path, name)) if isinstance(value, dict) else {(*path, name): value}
    return found


def test_the_tour_has_every_kind_of_work():
    tasks = practice_tasks("en")
    orders = {task.definition["order"] if task.definition else "written" for task in tasks}
    assert orders == {"ranks", "strength", "written"}
    assert 5 <= len(tasks) <= 6
    assert len({task.name for task in tasks}) == len(tasks)


@pytest.mark.parametrize("task", practice_tasks("en"), ids=lambda task: task.name)
def test_every_reference_fits_its_form(task):
    assert task.title and task.prompt and task.lesson and task.notes
    if task.definition is None:
        assert task.answer
        return
    flags = {field["name"] for field in task.definition["completion"] if field["kind"] == "flag"}
    for one in task.completions:
        assert one.text.strip() and one.why.strip()
        assert set(one.flags) <= flags
        if task.definition["order"] == "ranks":
            assert one.rating in one.fair and set(one.fair) <= set(range(1, 8))
    assert min(one.rank for one in task.completions) == 1
    assert {id for pair in task.open for id in pair} <= {one.id for one in task.completions}


@pytest.mark.parametrize("task", practice_tasks("en"), ids=lambda task: task.name)
def test_every_note_waits_for_something_that_can_happen(task):
    script = (ROOT / "static/js/coach.js").read_text()
    table = re.search(r"const HAPPENED = \{(.*?)\n\};", script, re.DOTALL)[1]
    known = set(re.findall(r"^  (\w+):", table, re.MULTILINE)) | {"closed:skip", "closed:keys", "closed:compare"}
    *before, last = task.notes
    assert last.done == "" and {note.done for note in before} <= known


def test_keys_in_notes_are_keys():
    flags = {f["name"] for task in practice_tasks("en") if task.definition for f in task.definition["completion"]}
    for path, text in leaves(read_file("en")).items():
        for key in content.KEY.findall(text) if path[1] == "notes" and path[-1] == "text" else ():
            plain = key in ("Enter", "Esc", "Ctrl", "←", "→", "z") or re.fullmatch(r"\d", key)
            assert key in COMMANDS or plain or key.removeprefix("flag:") in flags, (path, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_texts_alone_and_no_others(language):
    source, translated = leaves(read_file("en")), leaves(read_file(language))
    assert set(translated) <= set(source)
    if language != "en":
        assert {path[-1] for path in translated} <= TEXTS
        for path, text in translated.items():
            assert sorted(content.KEY.findall(text)) == sorted(content.KEY.findall(source[path])), path


def test_what_a_translation_leaves_out_is_english(monkeypatch, tmp_path):
    (tmp_path / "practice.en.toml").write_text((content.CONTENT / "practice.en.toml").read_text())
    over = '[basil]\ntitle = "Xx"\nrating = 3\n[basil.completions.short]\nwhy = "Y"'
    (tmp_path / "practice.xx.toml").write_text(over)
    monkeypatch.setattr(content, "CONTENT", tmp_path)
    ours, theirs = practice_tasks("en"), practice_tasks("xx-yy")
    content._tasks.cache_clear()
    assert theirs[0].title == "Xx" and theirs[0].completions[0].why == "Y"
    assert theirs[0].completions[0].text == ours[0].completions[0].text
    assert theirs[1:] == ours[1:]
    assert practice_tasks("no-such") == practice_tasks("en")


def test_merging_keeps_what_the_translation_does_not_have():
    assert merged({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 5, "e": 6}}) == {"a": 1, "b": {"c": 5, "d": 3}}


def test_no_id_tells_which_is_the_good_one():
    for one in practice_task("basil").completions:
        assert re.fullmatch(r"[0-9a-f-]{36}", one.id)


def test_german_leaves_nothing_in_english():
    texts = {path for path in leaves(read_file("en")) if path[-1] in TEXTS}
    assert set(leaves(read_file("de"))) == texts
