"""Looking into data sets: search, and two of them beside each other."""

from __future__ import annotations

import pytest
from django.db import connection

from labeling.audit.models import AuditEvent
from labeling.exports import browsing
from labeling.exports.models import DatasetRow
from labeling.exports.services import create_dataset
from labeling.intake.models import Prompt
from labeling.refusals import Refusal
from labeling.reports.models import Report
from labeling.reports.services import make_due
from tests.factories import make_prompt, make_ranking, make_task
from tests.labeling.exports.test_comparisons import correct

pytestmark = pytest.mark.django_db


def answered(text: str, *, by, batch=None):
    return make_ranking(task=make_task(batch=batch, prompt=make_prompt(text)), labeler=by)


@pytest.fixture
def dataset(ada):
    for text in ("Why is the sky blue?", "Where do blue whales sleep?", "Erkläre das Wetter.", "Bake <b>bread</b>."):
        answered(text, by=ada)
    return create_dataset(kind="comparisons")


def found(dataset, words: str, **asked) -> set[str]:
    return {row.prompt.last_message for row in browsing.page_of_rows(dataset, words=words, **asked)}


def test_rows_are_found_by_the_words_of_their_prompts(dataset):
    assert len(found(dataset, "")) == 4
    assert found(dataset, "BLUE") == {"Why is the sky blue?", "Where do blue whales sleep?"}
    assert found(dataset, '"blue whales"') == {"Where do blue whales sleep?"}
    assert found(dataset, '"whales blue"') == found(dataset, "“whales blue”") == set()
    assert found(dataset, "blue -sky") == {"Where do blue whales sleep?"}
    assert found(dataset, "sky or bread") == {"Why is the sky blue?", "Bake <b>bread</b>."}
    assert found(dataset, "erkläre") == {"Erkläre das Wetter."}
    # The roles of messages are no words of theirs; nor is punctuation an error.
    assert found(dataset, "user") == set()
    assert found(dataset, "')(& |:*!<->") == set()


def test_only_rows_of_this_data_set_are_found(dataset, ada):
    answered("A blue bird.", by=ada)
    assert found(dataset, "bird") == set()
    assert found(create_dataset(kind="comparisons"), "bird") == {"A blue bird."}


def test_pages_follow_one_another(dataset):
    first = browsing.page_of_rows(dataset, words="blue", size=1)
    second = browsing.page_of_rows(dataset, words="blue", size=1, after=first.next)
    assert [len(first), len(second), second.next] == [1, 1, None]
    assert first.items[0].pk < second.items[0].pk


@pytest.mark.parametrize("words", ["x" * 201, "a\x00b", "\ud800"])
def test_what_cannot_be_searched_for_is_refused(dataset, words):
    with pytest.raises(Refusal):
        browsing.page_of_rows(dataset, words=words)


def test_a_search_that_takes_long_is_given_up(dataset, monkeypatch):
    monkeypatch.setattr(browsing, "PATIENCE", 1)
    slow = DatasetRow.objects.extra(where=["pg_sleep(0.2) IS NOT NULL"])
    monkeypatch.setattr(browsing, "_with_answers", lambda rows: slow)
    with pytest.raises(browsing.TooCommon, match="rarer"):
        browsing.page_of_rows(dataset, words="blue")
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_what_was_taken_back_since_is_neither_found_nor_shown(dataset, page, rita):
    (row,) = browsing.page_of_rows(dataset, words="whales")
    Prompt.objects.filter(pk=row.prompt_id).update(state="held")
    assert found(dataset, "blue") == {"Why is the sky blue?"}
    shown = page(rita).get(f"/datasets/{dataset.pk}/rows/").content.decode()
    assert "whales" not in shown and "sky" in shown
    whole = [browsing.row_summary(row) for row in browsing.page_of_rows(dataset)]
    assert [row["completions"] for row in whole if row["messages"] is None] == [[]]


def test_a_very_long_prompt_is_stored_and_not_found(ada):
    answered("needle " + " ".join(f"w{number:x}" for number in range(60_000)), by=ada)
    assert found(create_dataset(kind="comparisons"), "needle") == set()


def test_pages_and_api_search(dataset, page, api, ada, rita):
    assert page(ada).get(f"/datasets/{dataset.pk}/rows/").status_code == 403
    researcher = page(rita)
    shown = researcher.get(f"/datasets/{dataset.pk}/rows/", {"q": "bread"}).content.decode()
    assert "Bake &lt;b&gt;bread&lt;/b&gt;." in shown and "sky" not in shown
    assert "No prompt of this data set" in researcher.get(f"/datasets/{dataset.pk}/rows/", {"q": "x"}).content.decode()
    assert researcher.get(f"/datasets/{dataset.pk}/rows/", {"q": "x" * 300}).status_code == 400
    assert researcher.get(f"/datasets/{dataset.pk}/rows/", {"after": "x"}).status_code == 400
    answer = api(rita).get(f"/api/v1/exports/{dataset.pk}/rows/", {"q": "whales"}).json()
    (row,) = answer["results"]
    assert row["messages"][0]["content"] == "Where do blue whales sleep?" and len(row["completions"]) == 4
    assert row["labeler"].startswith("labeler-") and "secret-model" not in str(row)
    assert api(ada).get(f"/api/v1/exports/{dataset.pk}/rows/").status_code == 403
    assert AuditEvent.objects.filter(action="text.read", subject_id=str(dataset.pk)).count() >= 3


def test_two_data_sets_are_compared(dataset, page, api, ada, bo, rita):
    later = answered("Is <i>this</i> new?", by=ada)
    newer = create_dataset(kind="comparisons", question={"splits": ["train", "valid", "test"]}, name="newer")
    counted = browsing.difference(dataset, newer).content
    assert (counted["both"], counted["first"], counted["second"]) == (4, 0, 1)
    assert counted["prompts"] == {"both": 4, "first": 0, "second": 1}
    (only,) = browsing.rows_by_id(counted["rows"][1])
    assert (only.dataset_id, only.ranking_id) == (newer.pk, later.pk)
    back = browsing.difference(newer, dataset).content
    assert (back["first"], back["second"]) == (1, 0)

    shown = page(rita).get(f"/datasets/{dataset.pk}/compare/", {"with": str(newer.pk)}).content.decode()
    assert "Is &lt;i&gt;this&lt;/i&gt; new?" in shown and "Only in newer" in shown
    answer = api(rita).get(f"/api/v1/exports/{dataset.pk}/compare/{newer.pk}/").json()
    assert answer["answers"] == {"both": 4, "first": 0, "second": 1}
    assert [row["id"] for row in answer["only_second"]] == [str(later.pk)] and answer["only_first"] == []


def test_a_corrected_answer_is_another_answer_to_the_same_prompt(dataset, ada):
    ranking = dataset.rows.earliest("id").ranking
    correct(ranking, [4, 3, 2, 1])
    counted = browsing.difference(dataset, create_dataset(kind="comparisons")).content
    assert (counted["both"], counted["first"], counted["second"]) == (3, 1, 1)
    assert counted["prompts"] == {"both": 4, "first": 0, "second": 0}


def test_what_cannot_be_compared_says_why(dataset, page, rita):
    prompts = create_dataset(kind="prompts")
    address = f"/datasets/{dataset.pk}/compare/"
    for other, why in ((prompts.pk, "different kinds"), (dataset.pk, "same data set")):
        answer = page(rita).get(address, {"with": str(other)})
        assert answer.status_code == 400 and why in answer.content.decode()
    assert page(rita).get(address, {"with": "x"}).status_code == 404
    assert "There is no other data set" in page(rita).get(address).content.decode()


def test_large_ones_are_compared_by_a_worker(dataset, page, api, ada, rita, monkeypatch):
    answered("One more.", by=ada)
    newer = create_dataset(kind="comparisons")
    monkeypatch.setattr(browsing, "SMALL", 3)
    address = f"/datasets/{dataset.pk}/compare/"
    assert "A worker counts" in page(rita).get(address, {"with": str(newer.pk)}).content.decode()
    assert api(rita).get(f"/api/v1/exports/{dataset.pk}/compare/{newer.pk}/").status_code == 202
    assert make_due() == 1 and Report.objects.get().error == ""
    live = page(rita).get(address, {"with": str(newer.pk)}, headers={"HX-Request": "true"}).content.decode()
    assert "One more." in live and "<html" not in live
