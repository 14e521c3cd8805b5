"""4. All text of one source user is in one split, and a source user has at most 200 prompts."""

from __future__ import annotations

import pytest

from labeling.governance.services import import_prompts
from labeling.intake.models import Prompt, Source, SourceUser

pytestmark = pytest.mark.django_db


def test_sql_moves_nobody_to_another_split(world, refused):
    for split in ("valid", "test"):
        assert "Cannot update" in str(refused("UPDATE labeling_sourceuser SET split = %s", [split]))


def test_what_decides_splits_stays_once_a_source_has_users(world, refused):
    """Nor does a user go to another source, by whose shares they would be in another split."""
    used = "id IN (SELECT source_id FROM labeling_sourceuser)"
    for change in (
        "name = name || '2'",
        "train_percent = 70, test_percent = 20",
        "valid_percent = 20, test_percent = 0",
    ):
        said = str(refused(f"UPDATE labeling_source SET {change} WHERE {used}"))
        assert "what their splits follow from stays" in said
    assert "Cannot update" in str(refused("UPDATE labeling_sourceuser SET source_id = source_id + 1"))
    Source.objects.filter(name="unused").update(train_percent=70, test_percent=20)
    # The salt is noted once, and then stays too.
    Source.objects.exclude(name="unused").update(salt_sha256="1" * 64)
    assert "follow from stays" in str(refused(f"UPDATE labeling_source SET salt_sha256 = 'other' WHERE {used}"))


def test_sql_gives_nobody_more_prompts_than_their_source_allows(world, refused):
    assert "more than their source allows" in str(refused("UPDATE labeling_sourceuser SET prompt_count = 201"))
    assert "more than their source allows" in str(
        refused(
            "INSERT INTO labeling_sourceuser (source_id, external_id, split, prompt_count) "
            "SELECT id, 'new', 'train', 201 FROM labeling_source LIMIT 1"
        )
    )
    SourceUser.objects.update(prompt_count=200)
    Source.objects.update(prompts_per_user=10)  # takes nothing away, and lets nothing more in
    SourceUser.objects.update(prompt_count=199)
    assert "more than their source allows" in str(refused("UPDATE labeling_sourceuser SET prompt_count = 200"))


def test_a_key_opens_one_source_for_ever(world, refused):
    for change in ("source_id = source_id + 1", "key_sha256 = 'x'"):
        assert "Cannot update" in str(refused(f"UPDATE labeling_sourcekey SET {change}"))


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
