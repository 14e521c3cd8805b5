"""The same question of the same data gives the same bytes; a half data set is never seen."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connection

from labeling.exports import reading, services
from labeling.exports.models import Dataset, DatasetRow
from labeling.exports.services import create_dataset
from labeling.refusals import Refusal
from tests.factories import make_demonstration, make_prompt, make_ranking, make_task
from training.formats import iter_rows, verify

pytestmark = pytest.mark.django_db
# Where it matters what other connections see.
committed = pytest.mark.django_db(transaction=True)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@committed
def test_same_question_gives_the_data_set_that_is_there(ada, tmp_path):
    for _ in range(5):
        make_ranking(task=make_task(), labeler=ada)
    first = create_dataset(kind="comparisons", question={"splits": ["train", "valid"]}, out=tmp_path / "a")
    second = create_dataset(kind="comparisons", question={"splits": ["valid", "train", "valid"]}, out=tmp_path / "b")
    assert second.pk == first.pk
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b") == files_of(Path(first.folder))
    assert verify(tmp_path / "b") == []
    assert Dataset.objects.count() == 1
    assert DatasetRow.objects.count() == 5


def test_bytes_are_the_same_when_they_are_made_anew(ada, settings, tmp_path):
    for number in range(5):
        make_ranking(task=make_task(prompt=make_prompt(user=f"u{number}")), labeler=ada, ranks=[1, 2, 2, 4])
    first = create_dataset(kind="comparisons", out=tmp_path / "a")
    settings.DATASETS_FOLDER = tmp_path / "elsewhere"
    second = create_dataset(kind="comparisons", out=tmp_path / "b")
    assert first.content_hash == second.content_hash
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_another_question_has_another_hash(ada):
    make_ranking(task=make_task(), labeler=ada)
    hashes = {
        create_dataset(kind="comparisons", question=question).content_hash
        for question in ({}, {"splits": ["train"]}, {"include_simulated": True})
    }
    assert len(hashes) == 3


def test_one_more_ranking_makes_another_data_set(ada):
    make_ranking(task=make_task(), labeler=ada)
    first = create_dataset(kind="comparisons")
    make_ranking(task=make_task(), labeler=ada)
    second = create_dataset(kind="comparisons")
    assert first.content_hash != second.content_hash
    assert verify(Path(first.folder)) == verify(Path(second.folder)) == []


def test_copy_can_be_changed_without_changing_the_data_set(ada, tmp_path):
    make_ranking(task=make_task(), labeler=ada)
    dataset = create_dataset(kind="comparisons", out=tmp_path / "out")
    copy = tmp_path / "out" / "train-00000.jsonl.zst"
    copy.chmod(0o644)
    copy.write_text("changed")
    assert verify(Path(dataset.folder)) == []
    assert verify(tmp_path / "out") != []


def test_existing_folder_is_never_replaced(ada, tmp_path):
    make_ranking(task=make_task(), labeler=ada)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("dear to me")
    with pytest.raises(Refusal, match="never replaces"):
        create_dataset(kind="comparisons", out=tmp_path / "mine")
    assert not Dataset.objects.exists()


def test_damaged_folder_is_found_before_it_is_given_out(ada, tmp_path):
    make_ranking(task=make_task(), labeler=ada)
    dataset = create_dataset(kind="comparisons")
    path = Path(dataset.folder) / "train-00000.jsonl.zst"
    path.chmod(0o644)
    path.write_bytes(b"{}\n")
    with pytest.raises(Refusal, match="damaged"):
        create_dataset(kind="comparisons", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@committed
def test_rows_added_during_the_export_do_not_appear(ada, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK", 1)
    for _ in range(4):
        make_ranking(task=make_task(), labeler=ada)
    real, added = services.lines_of, []

    def add_another() -> None:
        added.append(make_ranking(task=make_task(), labeler=ada))
        connection.close()

    def interrupted(*args):
        for line in real(*args):
            if not added:
                thread = threading.Thread(target=add_another)
                thread.start()
                thread.join()
            yield line

    monkeypatch.setattr(services, "lines_of", interrupted)
    dataset = create_dataset(kind="comparisons")
    assert len(added) == 1
    found = {row["id"] for row in iter_rows(Path(dataset.folder), "train")}
    assert len(found) == 4
    assert str(added[0].pk) not in found


@committed
def test_cancelled_export_leaves_nothing(ada, settings):
    make_ranking(task=make_task(), labeler=ada)

    class Cancelled(Exception):
        pass

    def beat(**news):
        if news.get("note") == "writing":
            raise Cancelled

    with pytest.raises(Cancelled):
        create_dataset(kind="comparisons", beat=beat)
    assert not Dataset.objects.exists()
    assert list(Path(settings.DATASETS_FOLDER).iterdir()) == []


# Exports begun one after another, each of a question of its own and each killed at a step of its own: a row, a
# statement to the database, or a file opened, made, renamed or removed. The first counts the steps and is not killed.
KILLED = """
import json, os, random, signal, sys, django
django.setup()
from django.conf import settings
from django.db import connection
from pathlib import Path
settings.DATABASES["default"]["NAME"] = sys.argv[2]
settings.DATASETS_FOLDER = Path(sys.argv[1])
from labeling.exports import services
from labeling.exports.models import Dataset
from training.formats import verify
real, steps, last = services.lines_of, 0, 0
def step():
    global steps
    steps += 1
    if steps == last:
        os.kill(os.getpid(), signal.SIGKILL)
def rows(*args):
    for line in real(*args):
        step()
        yield line
services.lines_of = rows
def hook(event, args):
    path = str(args[0]) if args else ""
    if "export-" in path and event.split(".")[0] in ("open", "os", "shutil"):
        step()
def statement(execute, *args):
    step()
    result = execute(*args)
    step()
    return result
def export(number):
    sys.addaudithook(hook)
    with connection.execute_wrapper(statement):
        services.create_dataset(kind="comparisons", question={"until": f"2999-01-01T00:00:00.{number:06}+00:00"})
def in_a_child(do):
    reads, writes = os.pipe()
    if not (child := os.fork()):
        os.close(reads)
        os.write(writes, json.dumps(do()).encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), json.loads(said or b"null")
def counted():
    export(0)
    return steps
def seen():
    visible = [path for path in settings.DATASETS_FOLDER.iterdir() if not path.name.startswith(".")]
    return {
        "damaged": [problem for path in visible for problem in verify(path)],
        "visible": len(visible),
        "rows": Dataset.objects.exclude(content_hash="").count(),
        "open": Dataset.objects.filter(content_hash="").count(),
    }
exit, count = in_a_child(counted)
assert exit == 0, exit
for number, last in enumerate(sorted(random.Random(int(sys.argv[3])).sample(range(1, count + 1), 10)), 1):
    exit, _said = in_a_child(lambda: export(number))
    print(json.dumps({"at": last, "of": count, "exit": exit, **in_a_child(seen)[1]}))
"""


@committed
def test_export_killed_at_ten_points_leaves_nothing_half_and_the_next_one_is_whole(ada, settings, tmp_path):
    for _ in range(6):
        make_ranking(task=make_task(), labeler=ada)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(settings.DATASETS_FOLDER), connection.settings_dict["NAME"], "11"],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    kills = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [kill["exit"] for kill in kills] == [-signal.SIGKILL] * 10
    for kill in kills:
        # A folder is there before its row, and whole; nobody sees a row without its folder.
        assert kill["damaged"] == [] and kill["open"] == 0 and 1 <= kill["rows"] <= kill["visible"], kill
    home = Path(settings.DATASETS_FOLDER)
    left = [path for path in home.iterdir() if path.name.startswith(".")]
    assert left, "no kill met an export at work"

    # Each is asked again. The rows are the same whatever the question says of times to come.
    until = [f"2999-01-01T00:00:00.{number:06}+00:00" for number in range(11)]
    made = [create_dataset(kind="comparisons", question={"until": each}) for each in until]
    assert len({dataset.content_hash for dataset in made}) == 11
    assert len({dataset.manifest["files"][0]["sha256"] for dataset in made}) == 1
    for dataset in made:
        assert verify(Path(dataset.folder)) == []
        assert len(list(iter_rows(Path(dataset.folder), "train"))) == 6
        assert DatasetRow.objects.filter(dataset=dataset).count() == 6
    old = time.time() - 2 * services.LEFTOVER_AGE
    for path in left:
        os.utime(path, (old, old))
    services.remove_leftovers(home)
    assert {path.name for path in home.iterdir()} >= {dataset.content_hash for dataset in made}
    assert not [path for path in home.iterdir() if path.name.startswith(".")]


def test_export_that_died_between_files_and_row_is_taken_up(ada, monkeypatch):
    make_ranking(task=make_task(), labeler=ada)
    with monkeypatch.context() as patch:
        patch.setattr(services, "_store", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            create_dataset(kind="comparisons")
    dataset = create_dataset(kind="comparisons")
    assert verify(Path(dataset.folder)) == []


def test_demonstrations_and_prompts_are_exported_too(ada, hal):
    prompt = make_prompt("Say hello.", use_case="chat")
    mine = make_demonstration(prompt=prompt, labeler=ada, text="  Hello.\r\n")
    make_demonstration(prompt=make_prompt(), labeler=hal, text="Mine.")
    make_demonstration(prompt=make_prompt(), labeler=ada, text="Call me: +1 415-555-2671, or jo.miller@gmail.com")
    make_prompt(state="held")
    demonstrations = create_dataset(kind="demonstrations")
    (row,) = iter_rows(Path(demonstrations.folder), "train")
    assert (row["id"], row["answer"], row["prompt_id"]) == (str(mine.pk), "  Hello.\r\n", str(prompt.pk))
    assert demonstrations.manifest["exclusions"] == {"held_out": 1, "personal_data": 1}
    assert demonstrations.rows.get().demonstration_id == mine.pk
    prompts = create_dataset(kind="prompts")
    listed = list(iter_rows(Path(prompts.folder), "train"))
    assert len(listed) == 3
    assert {"id", "split", "messages", "source", "use_case", "use_case_by"} == set(listed[0])
    assert prompts.manifest["exclusions"] == {"prompt_held": 1}


def test_dialogue_has_a_row_for_each_turn_of_its_assistant(ada):
    prompt = make_prompt("Hello.")
    talk = make_demonstration(prompt=prompt, labeler=ada, turns=["Hi.", "How are you?"], text="Well.")
    # In any turn, the user's too.
    make_demonstration(prompt=make_prompt(), labeler=ada, turns=["a", "Write to jo.miller@gmail.com"], text="b")
    dataset = create_dataset(kind="demonstrations")
    first, last = iter_rows(Path(dataset.folder), "train")
    assert first["id"] == last["id"] == str(talk.pk)
    assert (first["turn"], first["messages"], first["answer"]) == (1, prompt.messages, "Hi.")
    assert (last["turn"], last["messages"], last["answer"]) == (3, [*prompt.messages, *talk.turns], "Well.")
    assert prompt.messages == [{"role": "user", "content": "Hello."}]
    assert dataset.manifest["exclusions"] == {"personal_data": 1}
    assert set(dataset.rows.values_list("demonstration_id", flat=True)) == {talk.pk}
