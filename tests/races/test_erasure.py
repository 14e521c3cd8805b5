"""Erasing beside an export, an import, an answer and a draft at one moment: nothing of the person slips past."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from django.db import connection

from labeling.erasure import services as erasure
from labeling.exports import services as exports
from labeling.exports import taint
from labeling.exports.models import Dataset
from labeling.governance.services import import_prompts
from labeling.intake.models import Prompt, SourceUser
from labeling.leasing import services as leasing
from labeling.leasing.models import Lease
from labeling.rankings.services import submit_ranking
from tests import factories
from tests.labeling.erasure.conftest import MARKER, USER, where_said
from tests.races.conftest import PATIENCE, together
from training.formats import iter_lines

pytestmark = pytest.mark.django_db(transaction=True)
ASKED = {"answers": "keep", "refuse": False, "reason": "They asked us to.", "actor": None}


def erase():
    return erasure.erase_person(source_user=erasure.get_source_user(source="api", user_id=USER), **ASKED)


def erase_once_read(monkeypatch) -> None:
    """The person is erased between the last row that an export reads and its place in the database."""
    put, done = exports._put_in_place, []

    def put_in_place(*arguments):
        if not done:
            done.append(True)
            thread = threading.Thread(target=lambda: (erase(), connection.close()))
            thread.start()
            thread.join(PATIENCE)
        return put(*arguments)

    monkeypatch.setattr(exports, "_put_in_place", put_in_place)


def texts_in(folder: Path) -> str:
    """All lines of all rows below a folder."""
    return b"".join(line for path in folder.rglob("*.jsonl.zst") for line in iter_lines(path)).decode()


@pytest.fixture
def person(transactional_db):
    factories.make_prompt("What is a fjord?", user="other")
    return factories.make_prompt(f"I am {MARKER}.", user=USER)


def test_an_export_that_had_read_the_person_begins_anew(person, settings, monkeypatch):
    erase_once_read(monkeypatch)
    made = exports.create_dataset(kind="prompts")
    assert made.manifest["counts"]["rows"] == 1
    assert MARKER not in texts_in(Path(settings.DATASETS_FOLDER)), "also not in the folder of the first attempt"
    assert not taint.is_tainted(made) and Dataset.objects.count() == 1


def test_twin_without_the_look_it_would_pass_unmarked(person, settings, monkeypatch):
    monkeypatch.setattr(taint, "refuse_erased", lambda dataset: None)
    erase_once_read(monkeypatch)
    made = exports.create_dataset(kind="prompts")
    assert MARKER in texts_in(Path(made.folder)) and not taint.is_tainted(made)


def test_an_export_that_is_being_stored_is_waited_for_and_marked(person, monkeypatch):
    """The erasure begins while the data set's rows are being stored, and sees them."""
    copy, threads = exports._copy_lineage, []

    def copy_lineage(*arguments):
        thread = threading.Thread(target=lambda: (erase(), connection.close()))
        thread.start()
        threads.append(thread)
        thread.join(0.3)
        assert thread.is_alive(), "the erasure did not wait"
        return copy(*arguments)

    monkeypatch.setattr(exports, "_copy_lineage", copy_lineage)
    made = exports.create_dataset(kind="prompts")
    threads[0].join(PATIENCE)
    assert taint.is_tainted(made)
    assert taint.sidecar_of(Path(made.folder)).is_file()


def test_an_answer_and_a_draft_at_the_same_moment_leave_no_text(person, people):
    (labeler,) = people(1)
    task = factories.make_task(prompt=person, texts=(f"Dear {MARKER}", "Hello"))
    for number in range(3):
        lease = Lease.objects.filter(task=task).first() or factories.make_lease(task=task, labeler=labeler)
        verdicts = [{"id": one, "rank": 1, "rating": 1} for one in lease.order_shown]
        body = {"completions": verdicts, "note": f"on {MARKER}"}
        together(
            lambda lease=lease, body=body: submit_ranking(
                lease_id=lease.pk, labeler=labeler, answer=body, idempotency_key="k"
            ),
            lambda lease=lease, number=number: leasing.save_draft(
                lease_id=lease.pk, labeler=labeler, draft={"note": MARKER}, version=number + 1
            ),
            erase,
        )
        assert where_said(MARKER) == []
        person = factories.make_prompt(f"I am {MARKER} {number}.", user=USER)
        task = factories.make_task(prompt=person, texts=(f"Dear {MARKER}", "Hello"))
        Lease.objects.filter(labeler=labeler, state__in=["open", "ahead"]).update(state="returned", seat=None)


def test_an_import_at_the_same_moment_is_before_or_after(person):
    """What comes in before is erased too; what comes after is a new source user's, or refused."""
    rows = [{"prompt": f"{MARKER} number {n}", "user_id": USER} for n in range(30)]
    results = together(
        lambda: import_prompts(rows=enumerate(rows, 1), name="f.jsonl", source="api"),
        lambda: erasure.erase_person(
            source_user=erasure.get_source_user(source="api", user_id=USER), **{**ASKED, "refuse": True}
        ),
    )
    assert not [result for result in results if isinstance(result, Exception)]
    erased = results[1].counts["prompt"]
    assert erased in (1, 31)
    assert Prompt.objects.filter(state="erased").count() == erased
    assert Prompt.objects.exclude(state="erased").get().source_user.external_id == "other"
    assert SourceUser.objects.filter(external_id=USER).count() == 0
