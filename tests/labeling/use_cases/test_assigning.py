"""People say what prompts are for: each word is kept, the newest of each counts, most decide."""

from __future__ import annotations

import pytest

from labeling.intake.models import Prompt
from labeling.use_cases import queries, services, targets
from labeling.use_cases.models import UseCaseAssignment
from tests.factories import make_prompt

pytestmark = pytest.mark.django_db


def say(prompt, person, use_case, **more):
    return services.assign(prompt_id=prompt.pk, use_case=use_case, person=person, **more)


def use_case_of(prompt) -> str:
    return Prompt.objects.get(pk=prompt.pk).use_case


def test_most_decide_and_of_several_what_was_said_last():
    assert services.majority([("chat", 1), ("rewrite", 2), ("chat", 3)]) == ("chat", 2)
    assert services.majority([("chat", 1), ("rewrite", 2)]) == ("rewrite", 1)
    assert services.majority([]) == ("", 0)


def test_the_newest_word_of_each_person_counts_and_all_stay(amy, rita, ada):
    prompt = make_prompt(use_case="extract")
    assert say(prompt, amy, "chat").votes == 1
    assert use_case_of(prompt) == "chat"
    say(prompt, rita, "rewrite")
    say(prompt, amy, "rewrite")
    standing = say(prompt, amy, "rewrite")  # said twice, stored once
    assert (standing.use_case, standing.people, standing.votes) == ("rewrite", 2, 2)
    assert [(row.person_id, row.use_case) for row in queries.said_of(prompt)] == [
        (None, "extract"),
        (amy.pk, "chat"),
        (rita.pk, "rewrite"),
        (amy.pk, "rewrite"),
    ]
    # When everybody took back what they said, what it came with stands again.
    say(prompt, amy, "")
    say(prompt, rita, "")
    assert use_case_of(prompt) == "extract"
    assert queries.labels_of([prompt.pk])[prompt.pk] == queries.Label("extract", "given")


def test_what_is_refused(api, amy, rita):
    prompt, held = make_prompt(), make_prompt(state="held")
    client = api(amy)
    assert (
        "no use case"
        in client.post(f"/api/v1/prompts/{prompt.pk}/use-case/", {"use_case": "odd"}, format="json").json()["error"][
            "message"
        ]
    )
    assert client.post(f"/api/v1/prompts/{held.pk}/use-case/", {"use_case": "chat"}, format="json").status_code == 409
    missing = client.post(
        "/api/v1/prompts/00000000-0000-0000-0000-000000000000/use-case/", {"use_case": "chat"}, format="json"
    )
    assert missing.status_code == 404
    assert client.get("/api/v1/use-cases/next/?after=x").status_code == 400
    assert client.get("/api/v1/use-cases/next/?size=0").status_code == 400
    assert client.get("/api/v1/use-cases/?split=odd").status_code == 400
    for shares in ({"chat": 90}, {"odd": 100}, {"chat": -1, "other": 101}, {"chat": True}, [], {"chat": float("inf")}):
        with pytest.raises(Exception, match="share|use case"):
            targets.set_target(shares=shares, suggestions="after", actor=amy)
    targets.set_target(shares={"chat": 100}, suggestions="never", replaces=0, actor=amy)
    stale = client.post("/api/v1/use-cases/target/", {"shares": {"chat": 100}, "replaces": 0}, format="json")
    assert stale.status_code == 409


def test_everybody_is_asked_at_random_and_one_in_five_prompts_twice(api, amy, rita):
    prompts = [make_prompt(f"Prompt {number}") for number in range(40)]
    make_prompt(state="held")
    twice = {str(each.pk) for each in prompts if each.text_sha256[-1] < "3"}
    assert 2 <= len(twice) <= 20, "the texts give some of either kind"

    def name_all(person) -> list[str]:
        client, named = api(person), []
        while found := client.get("/api/v1/use-cases/next/?size=20").json()["prompts"]:
            for each in found:
                assert (
                    client.post(
                        f"/api/v1/prompts/{each['id']}/use-case/", {"use_case": "chat"}, format="json"
                    ).status_code
                    == 200
                )
            named += [each["id"] for each in found]
        return named

    first = name_all(amy)
    assert set(first) == {str(each.pk) for each in prompts}
    assert first == [str(each.pk) for each in sorted(prompts, key=lambda each: each.text_sha256)]
    assert set(name_all(rita)) == twice
    # One that I take back comes again.
    services.assign(prompt_id=first[0], use_case="", person=amy)
    assert [str(each.pk) for each in queries.turn(person=amy).prompts] == [first[0]]


def test_pages_without_the_script(page, amy):
    prompt = make_prompt("<b>Hello</b>")
    client = page(amy)
    shown = client.get("/use-cases/assign/").content.decode()
    assert "&lt;b&gt;Hello&lt;/b&gt;" in shown and "<b>Hello</b>" not in shown
    assert client.post(f"/use-cases/assign/{prompt.pk}/", {"use_case": "chat"}).status_code == 302
    assert use_case_of(prompt) == "chat"
    assert "named all prompts" in client.get("/use-cases/assign/").content.decode()
    client.post(f"/use-cases/assign/{prompt.pk}/", {})
    assert use_case_of(prompt) == ""


def test_the_mix_says_by_whom_and_what_is_missing(page, api, amy):
    for number in range(6):
        make_prompt(f"chat {number}", use_case="chat", split="train" if number else "test", user=f"u{number}")
    make_prompt("none")
    first = Prompt.objects.filter(use_case="chat").first()
    say(first, amy, "extract")
    targets.set_target(shares={"chat": 50, "extract": 50}, suggestions="after", actor=amy)
    rows = {row.use_case: row for row in queries.mix().rows}
    assert (rows["chat"].given, rows["chat"].people, rows["chat"].deficit) == (5, 0, 0)
    assert (rows["extract"].people, rows["extract"].share, rows["extract"].deficit) == (1, 1 / 6, 2)
    assert queries.mix().none == 1
    assert queries.mix(split="test").counted == 1
    client = page(amy)
    assert "16.7 %" in client.get("/use-cases/").content.decode()
    lines = b"".join(client.get("/use-cases/mix.csv?split=train").streaming_content).decode().splitlines()
    assert lines[0] == "use_case,people,given,suggested,all,share,target,deficit" and len(lines) == 11
    assert api(amy).get("/api/v1/use-cases/").json()["counted"] == 6
    form = {**targets.PAPER_SHARES, "suggestions": "before", "note": "back", "replaces": 1}
    assert client.post("/use-cases/target/", form).status_code == 302
    assert targets.current().shares == targets.PAPER_SHARES
    assert client.post("/use-cases/target/", form).status_code == 409
    assert client.post("/use-cases/target/", {**form, "chat": 50, "replaces": 2}).status_code == 400


def test_agreement_leaves_out_who_saw_a_suggestion(amy, rita, ada):
    same, other, seen = make_prompt("a"), make_prompt("b"), make_prompt("c")
    for prompt, words in ((same, ("chat", "chat")), (other, ("chat", "extract"))):
        for person, word in zip((amy, rita), words, strict=True):
            say(prompt, person, word)
    say(seen, amy, "chat", saw="chat")
    say(seen, rita, "chat", saw="chat")
    found = queries.agreement()
    assert (found.prompts, found.pairs, found.agree) == (2, 2, 0.5)
    assert UseCaseAssignment.objects.count() == 6
