"""4. All text of one source user is in one split, and a source user has at most 200 prompts."""

from __future__ import annotations

import pytest

from labeling.governance.services import import_prompts
from labeling.intake.models import Prompt, SourceUser

pytestmark = pytest.mark.django_db


def test_sql_moves_nobody_to_another_split(world, refused):
    for split in ("valid", "test"):
        assert "Cannot update" in str(refused("UPDATE labeling_sourceuser SET split = %s", [split]))


def test_a_prompt_stays_with_its_source_user(world, refused):
    for column, value in (("source_user_id", "source_user_id + 1"), ("text_sha256", "'x'")):
        assert "Cannot update" in str(refused(f"UPDATE labeling_prompt SET {column} = {value}"))


def test_a_prompts_text_changes_by_redaction_alone(world, refused):
    assert "its original is not kept" in str(refused("UPDATE labeling_prompt SET messages = '[]'"))


def test_two_hundred_prompts_of_one_user_go_in_and_no_more(db):
    rows = ((n, {"prompt": f"Question {n} about whatever there is?", "user_id": "eager"}) for n in range(1, 221))
    import_prompts(rows=rows, name="many", created_by=None)
    user = SourceUser.objects.get(external_id="eager")
    assert user.prompt_count == Prompt.objects.filter(source_user=user).count() == 200
