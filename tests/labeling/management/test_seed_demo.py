"""The demo's content, answered by a real (tiny) model."""

import json
import stat

import pytest
from django.core.management import CommandError, call_command

from labeling.adjudication.models import AdjudicationCase
from labeling.checks.models import CheckAlert
from labeling.demos.models import Demonstration
from labeling.exports.services import create_dataset
from labeling.intake.models import Prompt
from labeling.label_errors.queries import waiting_for
from labeling.label_errors.reports import found_report
from labeling.leasing.services import grant_lease
from labeling.notices.models import NoticeReceipt
from labeling.people.models import User
from labeling.pipeline.models import Checkpoint
from labeling.sampling.models import Batch, BatchItem, Endpoint
from labeling.screening import queries as screening
from labeling.screening.models import Topic

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tiny_demo(settings, tiny_server, tiny_policy):
    settings.MODEL_SERVER_URL, settings.MODEL_SERVER_NAME, settings.BASE_MODEL = tiny_server, "first", tiny_policy


def test_demo_content_is_there_once_however_often_it_is_made(tiny_demo, home, capsys):
    call_command("seed_demo")
    first = capsys.readouterr().out
    kept = json.loads((home / "sign-ins.json").read_text())
    assert stat.S_IMODE((home / "sign-ins.json").stat().st_mode) == 0o600
    counts = [model.objects.count() for model in (User, Prompt, Demonstration, Batch, BatchItem, Checkpoint, Endpoint)]
    assert counts[:3] == [11, 62, 34]
    call_command("seed_demo")
    assert capsys.readouterr().out == first
    again = [model.objects.count() for model in (User, Prompt, Demonstration, Batch, BatchItem, Checkpoint, Endpoint)]
    assert again == counts

    assert [entry["username"] for entry in kept] == ["ada", "rita", "amy"]
    for entry in kept:
        user = User.objects.get(username=entry["username"])
        assert user.check_password(entry["password"])
        assert entry["password"] in first
    assert not User.objects.get(username="seed-writer").has_usable_password()

    # Of two programs that were checked for weeks one did worse in the last.
    assert CheckAlert.objects.get().labeler.username == "sim-002"

    assert NoticeReceipt.objects.count() == 2
    lease = grant_lease(labeler=User.objects.get(username="ada"))
    assert lease.task.kind == "ranking"
    assert len(lease.order_shown) == 4

    # One to rank, one to write for with suggestions and reviews, one of dialogues, one of prompts, reviewed too.
    kinds = Batch.objects.order_by("id").values_list("kind", "review", "suggestions__name")
    assert [row for row in kinds if row[0] in ("dialogue", "review") or row[1]] == [
        ("demonstration", True, "first"),
        ("review", False, None),
        ("dialogue", False, None),
        ("prompt", True, None),
        ("review", False, None),
    ]

    # Two that labelers disagree about wait for a researcher.
    assert list(AdjudicationCase.objects.values_list("state", "disagreement")) == [("waiting", 1.0)] * 2

    # One applicant is part-way through the screening; one is through, ranked as the researcher did but once, and has
    # written what waits for grades.
    noah, mia = (User.objects.get(username=name) for name in ("noah", "mia"))
    assert noah.group == mia.group == "applicant" and noah.rankings.count() == 2
    application = screening.application_of(mia)
    flags, rankings, demonstrations = screening.report_on(application).gates
    assert [step.complete for step in screening.progress_of(application, person_id=mia.pk)] == [True] * 4
    assert (rankings.figure.count, rankings.figure.value) == (24, pytest.approx(23 / 24))
    assert screening.to_grade(User.objects.get(username="rita")).count() == 4
    assert 0 < len(screening.uncovered()) < Topic.objects.count()

    # Label errors were looked for, and some answers wait.
    found = next(cut for cut in found_report(simulated=True).content["cuts"] if cut["key"] == "all")
    assert found["suspicious"]["found"] > 0 and found["random"]["looked_at"] > 0
    assert waiting_for(User.objects.get(username="rita")) == 6

    dataset = create_dataset(kind="demonstrations", question={})
    assert sum(entry["rows"] for entry in dataset.manifest["files"]) == 30


def test_model_server_that_is_away_is_said_so(tiny_demo, settings, monkeypatch):
    settings.MODEL_SERVER_URL = "http://127.0.0.1:9"
    monkeypatch.setattr("models_service.client.FIRST_PAUSE_SECONDS", 0.01)
    with pytest.raises(CommandError, match="127.0.0.1:9"):
        call_command("seed_demo")


def test_password_that_somebody_changed_is_not_made_up(tiny_demo, home, capsys):
    User.objects.create_user("ada", password="her own choice", role="labeler", group="training")
    call_command("seed_demo")
    assert "set by somebody else" in capsys.readouterr().out
    assert User.objects.get(username="ada").check_password("her own choice")
