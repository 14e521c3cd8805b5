"""Completions from elsewhere: judged as sampled ones are, stored once, their writers known to no labeler."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from labeling.forms.queries import form_named
from labeling.forms.services import archive_form
from labeling.leasing.services import grant_lease
from labeling.sampling.models import Batch, BatchItem, CompletionMark, Provenance
from tests.factories import make_batch, make_endpoint

pytestmark = pytest.mark.django_db

NAMED = {"prompt": "Why is the sky blue?", "completions": {"m1": "Light scatters.", "m2": "  Paint.\r\n", "m3": "No."}}
LISTED = {
    "messages": [{"role": "user", "content": "Name a colour."}],
    "completions": [{"text": "Red.", "model": "m1"}, {"text": "Blue."}, {"text": "Red.", "model": "m2"}],
}


@pytest.fixture
def bring(tmp_path):
    def run(*lines, **options) -> dict:
        file = tmp_path / "given.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        out = io.StringIO()
        call_command("import_completions", str(file), stdout=out, **options)
        return json.loads(out.getvalue())

    return run


def test_both_shapes_go_in_and_are_handed_out(bring, ada):
    said = bring(NAMED, LISTED)
    assert (said["groups"], said["completions"], said["tasks"], said["rejected"]) == (2, 5, 2, {})
    batch = Batch.objects.get(name="given")
    assert (batch.kind, batch.state, batch.imported) == ("ranking", "open", False)
    texts = {item.prompt.last_message: {c.text for c in item.completions.all()} for item in batch.items.all()}
    assert texts == {
        "Why is the sky blue?": {"Light scatters.", "  Paint.\r\n", "No."},
        "Name a colour.": {"Red.", "Blue."},
    }
    writers = Provenance.objects.filter(completion__text="Red.").values_list("model", flat=True)
    assert sorted(writers) == ["m1", "m2"]
    lease = grant_lease(labeler=ada)
    assert lease.task.batch_id == batch.pk and len(lease.order_shown) == 3


def test_twice_stores_once_and_goes_on(bring):
    bring(NAMED)
    said = bring(NAMED, LISTED)
    assert (said["unchanged"], said["groups"], said["tasks"]) == (1, 1, 2)


def test_bad_lines_are_named_and_the_rest_goes_in(bring):
    said = bring(
        {"prompt": "Only one", "completions": {"m1": "a"}},
        {"prompt": "Too many", "completions": {f"m{n}": f"text {n}" for n in range(10)}},
        {"prompt": "None"},
        {"prompt": "Empty", "completions": {"m1": " ", "m2": "b"}},
        {"prompt": "NUL", "completions": {"m1": "a\x00", "m2": "b"}},
        {"completions": {"m1": "a", "m2": "b"}},
        NAMED,
    )
    assert said["groups"] == 1
    assert said["rejected"] == {
        "bad_text": 1,
        "empty_completion": 1,
        "no_completions": 1,
        "no_prompt": 1,
        "wrong_k": 2,
    }
    assert [problem["line"] for problem in said["problems"]] == [1, 2, 3, 4, 5, 6]


def test_what_names_its_maker_waits_for_a_look(bring, ada):
    named = {"prompt": "Who are you?", "completions": {"walrus-7b": "I am walrus-7b.", "m2": "A program."}}
    assert bring(named)["tasks"] == 0
    assert CompletionMark.objects.get().state == "waiting"
    assert grant_lease(labeler=ada) is None
    assert bring(named, name="unseen", serve_named=True)["tasks"] == 1


def test_form_decides_how_many(bring):
    said = bring(NAMED, LISTED, form="pairs")
    assert (said["groups"], said["rejected"]) == (1, {"wrong_k": 1})


@pytest.mark.parametrize("kind", [{"kind": "demonstration"}, {"imported": True}])
def test_batch_of_another_kind_is_left_alone(bring, kind):
    make_batch(name="given", **kind)
    with pytest.raises(CommandError, match="give this one another name"):
        bring(NAMED)
    assert not BatchItem.objects.exists()


def test_sampled_batch_is_left_alone(bring):
    make_batch(name="given").endpoints.add(make_endpoint())
    with pytest.raises(CommandError, match="give this one another name"):
        bring(NAMED)


def test_wrong_options_are_refused(bring, tmp_path):
    with pytest.raises(CommandError, match="overlap is 0"):
        bring(NAMED, overlap=0)
    with pytest.raises(CommandError, match="labeler group 'nobody'"):
        bring(NAMED, groups=["nobody"])
    with pytest.raises(CommandError, match="There is no file"):
        call_command("import_completions", str(tmp_path / "nothing.jsonl"))
    assert not Batch.objects.exists()


def test_file_without_one_group_fails(bring):
    with pytest.raises(CommandError, match="No line of given.jsonl"):
        bring({"prompt": "None"})


def test_archived_form_is_for_no_new_batch(bring):
    form = form_named("pairs")
    bring(NAMED | {"completions": {"m1": "Yes.", "m2": "No."}}, name="before", form="pairs")
    archive_form(form=form, archived=True, actor=None)
    with pytest.raises(CommandError, match="archived"):
        bring(NAMED | {"completions": {"m1": "Yes.", "m2": "No."}}, name="after", form="pairs")
    assert not Batch.objects.filter(name="after").exists()
    # A batch that is there keeps its own.
    again = bring(NAMED | {"prompt": "Why?", "completions": {"m1": "Yes.", "m2": "No."}}, name="before", form="pairs")
    assert again["groups"] == 1
