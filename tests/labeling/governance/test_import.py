from __future__ import annotations

import json
from collections import Counter

import pytest

from labeling.governance import services
from labeling.governance.models import Finding
from labeling.intake.models import Import, Prompt, SourceUser


def bring(*rows, **extra):
    return services.import_prompts(rows=enumerate(rows, start=1), name="test.jsonl", **extra)


def test_prompts_go_in_and_problems_are_named(db, amy):
    done = bring(
        {"prompt": "one", "user_id": "u"}, {"prompt": ""}, [], {"prompt": "two", "user_id": "u"}, created_by=amy
    )
    summary = services.summary_of(done)
    assert (summary["accepted"], summary["rejected"]) == (2, {"empty": 1, "not_an_object": 1})
    assert [(problem["line"], problem["reason"]) for problem in summary["problems"]] == [
        (2, "empty"),
        (3, "not_an_object"),
    ]
    assert done.finished_at and done.created_by == amy
    assert SourceUser.objects.get().prompt_count == 2
    json.dumps(summary)


def test_importing_twice_makes_it_once(db):
    rows = [{"prompt": f"p{n}", "user_id": "u", "external_id": str(n)} for n in range(5)]
    assert bring(*rows).accepted == 5
    again = bring(*rows)
    assert (again.accepted, again.rejected) == (0, {"duplicate": 5})
    assert Prompt.objects.count() == 5 and SourceUser.objects.get().prompt_count == 5


def test_same_text_is_stored_once_whoever_wrote_it(db):
    done = bring({"prompt": "a", "user_id": "u"}, {"prompt": "a", "user_id": "v"}, {"prompt": "a", "source": "other"})
    assert (done.accepted, done.rejected) == (1, {"duplicate": 2})


def test_external_id_with_another_text_is_a_conflict(db):
    done = bring({"prompt": "a", "external_id": "7"}, {"prompt": "b", "external_id": "7"})
    assert done.rejected == {"external_id_conflict": 1}
    assert bring({"prompt": "c", "external_id": "7", "source": "other"}).accepted == 1
    assert bring({"prompt": "d", "external_id": "7"}).rejected == {"external_id_conflict": 1}


def test_user_has_at_most_200(db, settings):
    rows = [{"prompt": f"p{n}", "user_id": "u"} for n in range(700)] + [{"prompt": "v", "user_id": "v"}]
    done = bring(*rows)
    assert (done.accepted, done.rejected) == (201, {"user_cap": 500})
    assert len(services.summary_of(done)["problems"]) == services.PROBLEMS_TOLD and done.problems.count() == 500
    assert bring({"prompt": "late", "user_id": "u"}).rejected == {"user_cap": 1}


def test_prompts_without_a_user_share_one_split_and_one_cap(db):
    done = bring(*({"prompt": f"p{n}"} for n in range(201)))
    assert (done.accepted, done.rejected) == (200, {"user_cap": 1})
    assert SourceUser.objects.get().external_id == ""


def test_one_user_is_in_one_split(db):
    bring(*({"prompt": f"{user} {n}", "user_id": user} for user in "abcdefgh" for n in range(5)))
    for user in SourceUser.objects.all():
        assert user.prompts.values("source_user__split").distinct().count() == 1
    moved = SourceUser.objects.order_by("pk").first()
    assert moved.split in ("train", "valid", "test")


def test_personal_data_holds_a_prompt_and_keeps_no_copy(db):
    text = "Write to bob@example.com about it"
    done = bring({"prompt": text, "user_id": "u"}, {"prompt": "My name is Bob", "user_id": "u"})
    assert (done.accepted, done.rejected) == (1, {"personal_data": 1})
    problem = done.problems.get()
    assert "email" in problem.detail and "bob@" not in problem.detail
    held = Prompt.objects.get(state="held")
    assert problem.prompt == held
    finding = Finding.objects.get(prompt=held)
    assert (finding.kind, finding.version) == ("email", services.personal_data.VERSION)
    assert held.messages[finding.message_index]["content"][finding.start : finding.end] == "bob@example.com"
    # What is likely nothing is noted too, and holds nothing up.
    assert Finding.objects.get(prompt__state="accepted").score < services.personal_data.HOLD_AT


def test_personal_data_is_found_in_every_message(db):
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "I am a@b.io"},
        {"role": "user", "content": "And now?"},
    ]
    bring({"messages": messages})
    assert Finding.objects.get().message_index == 1


def test_notice_hears_of_each_chunk_and_may_end_the_import(db, monkeypatch):
    monkeypatch.setattr(services, "CHUNK", 2)
    heard = []

    def notice(outcomes) -> None:
        heard.append([outcome.line for outcome in outcomes])
        if len(heard) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(*({"prompt": str(n)} for n in range(7)), notice=notice)
    assert heard == [[1, 2], [3, 4]]
    left = Import.objects.get()
    assert (left.accepted, left.finished_at) == (4, None), "what was committed stays, counted"


def test_text_comes_out_of_the_database_as_it_went_in(db):
    texts = [" a ", "\t", "a\r\nb", "e\u0301", "\u00e9", "\u202eabc", "\ufeffx", "👩‍👩‍👧", "\x01\x7f", "𝒳", "\\u0041"]
    bring(*({"prompt": text} for text in texts))
    assert Counter(prompt.last_message for prompt in Prompt.objects.all()) == Counter(texts)


def test_real_prompts_all_go_in(db, shared_data):
    from labeling.intake.reading import read_rows

    done = services.import_prompts(rows=read_rows(shared_data / "prompts_oasst.jsonl"), name="oasst")
    assert (done.accepted, done.rejected) == (250, {})
    assert SourceUser.objects.count() <= 60
    assert set(Prompt.objects.values_list("source_user__split", flat=True)) == {"train", "valid", "test"}
