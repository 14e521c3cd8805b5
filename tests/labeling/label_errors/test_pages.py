"""Pages, downloads and API: what they show, and what they do not before somebody judged."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from labeling.label_errors import services
from labeling.label_errors.models import ErrorDraw, ErrorItem, ErrorVerdict
from labeling.people.models import User
from labeling.reports.models import Report
from tests.labeling.label_errors.test_looking import draw

pytestmark = pytest.mark.django_db


@pytest.fixture
def drawn(rita, ranked) -> ErrorDraw:
    ranked((1, 2, 3), (1, 2, 3), (3, 2, 1), models=("gpt-9", "gpt-9", "gpt-9"), texts=("<b>One</b>", "Two", "Three"))
    services.refresh()
    return draw(rita, size=4, share=25)


def held_by(person) -> ErrorItem:
    return services.claim_next(reviewer=person)


def test_overview_before_there_is_anything(page, rita, django_assert_max_num_queries):
    client = page(rita)
    client.get("/label-errors/")  # makes the report
    with django_assert_max_num_queries(21):
        shown = client.get("/label-errors/").content.decode()
    assert "There is none yet: colleagues alone decide what is suspicious." in shown
    assert "Nothing looked at yet" in shown
    assert "Look at the next" not in shown


def test_where_people_s_answers_were_not_looked_at_but_programs_were_a_link_leads_there(page, rita, ranked):
    programs = [User.objects.create(username=f"sim-{number}", group="simulated") for number in range(2)]
    ranked((1, 2, 3), (3, 2, 1), people=programs)
    services.refresh()
    services.draw_answers(size=1, share=100, simulated=True, actor=rita)
    client, words = page(rita), "Of simulated labelers some answers were looked at already."
    assert words not in client.get("/label-errors/").content.decode()
    services.judge(item_id=held_by(rita).pk, reviewer=rita, verdict="fine")
    shown = client.get("/label-errors/").content.decode()
    assert "Nothing looked at yet" in shown and words in shown
    assert words not in client.get("/label-errors/?simulated=1").content.decode()


def test_draw_look_and_see_what_was_found(page, rita, ranked):
    ranked((1, 2, 3), (1, 2, 3), (3, 2, 1))
    services.refresh()
    client = page(rita)
    assert client.post("/label-errors/draw/", {"size": 2, "share": 50}).status_code == 302
    assert client.post("/label-errors/draw/", {"size": 0, "share": 101}).status_code == 400
    assert "Look at the next" in client.get("/label-errors/").content.decode()
    address = client.post("/label-errors/next/").headers["Location"]
    assert address.startswith("/label-errors/")
    while address != "/label-errors/":
        address = client.post(address, {"verdict": "error", "note": "Plain."}).headers["Location"]
    Report.objects.update(made_at=F("made_at") - timedelta(minutes=2))  # it is at most a minute behind
    shown = client.get("/label-errors/").content.decode()
    assert "1 errors in 1 looked at, 0 unclear" in shown
    assert "Errors found among those looked at" in shown and "<svg" in shown
    listed = client.get("/label-errors/judged/").content.decode()
    assert "Plain." in listed and "Rita" not in listed
    table = b"".join(client.get("/label-errors/csv/all/")).decode()
    assert "all,suspicious,1,1,0,100.0" in table
    assert b"".join(client.get("/label-errors/csv/arms/")).decode().startswith("Arm,Errors found")
    verdicts = b"".join(client.get("/label-errors/csv/verdicts/")).decode().splitlines()
    assert len(verdicts) == 1 + ErrorVerdict.objects.count()
    assert client.get("/label-errors/csv/nothing/").status_code == 404


def test_nothing_tells_who_answered_what_wrote_it_or_why_it_is_here(page, api, rita, drawn):
    """The two arms look alike: but for texts and ids, the same page."""
    client, seen = page(rita), []
    while item := held_by(rita):
        shown = client.get(f"/label-errors/{item.pk}/").content.decode()
        for secret in ("colleague", "gpt-9", "suspicious", "random", str(item.ranking_id), str(item.score)):
            assert secret not in shown.lower().replace("drawn at random, not told", "")
        assert "&lt;b&gt;One&lt;/b&gt;" in shown
        program = api(rita).post("/api/v1/label-errors/next/").json()
        seen.append(set(program))
        assert program["id"] == str(item.pk)
        assert not {"suspicious", "random", "ranking"} & set(program)
        services.judge(item_id=item.pk, reviewer=rita, verdict="fine")
    assert len(seen) >= 3 and all(keys == seen[0] for keys in seen)
    judged = ErrorItem.objects.first()
    assert "badge" in client.get(f"/label-errors/{judged.pk}/").content.decode()


def test_a_bad_verdict_comes_back_with_the_note(page, rita, drawn):
    item = held_by(rita)
    answer = page(rita).post(f"/label-errors/{item.pk}/", {"verdict": "odd", "note": "Kept <i>"})
    assert answer.status_code == 400
    assert "Kept &lt;i&gt;" in answer.content.decode()
    assert not ErrorVerdict.objects.exists()


def test_somebody_elses_is_refused_until_it_is_judged(page, rita, amy, drawn):
    item = held_by(rita)
    assert page(amy).get(f"/label-errors/{item.pk}/").status_code == 403
    assert page(amy).post(f"/label-errors/{item.pk}/", {"verdict": "fine"}).status_code == 409
    services.judge(item_id=item.pk, reviewer=rita, verdict="unclear", note="Both are bad.")
    shown = page(amy).get(f"/label-errors/{item.pk}/").content.decode()
    assert "Both are bad." in shown and "data-label-error" not in shown


def test_a_change_is_a_revision(page, rita, drawn):
    item = held_by(rita)
    client = page(rita)
    client.post(f"/label-errors/{item.pk}/", {"verdict": "error"})
    assert "Change it" in client.get(f"/label-errors/{item.pk}/").content.decode()
    assert client.post(f"/label-errors/{item.pk}/", {"verdict": "fine"}).headers["Location"] == "/label-errors/judged/"
    assert list(item.verdicts.order_by("revision").values_list("verdict", flat=True)) == ["error", "fine"]


def test_programs_do_it_all(api, rita, ranked):
    ranked((1, 2, 3), (1, 2, 3), (3, 2, 1))
    services.refresh()
    client = api(rita)
    worst = client.get("/api/v1/label-errors/suspicious/").json()
    assert [row["contradicted"] for row in worst["answers"]] == [6, 3, 3]
    assert worst["next"] is None
    made = client.post("/api/v1/label-errors/draws/", {"size": 2, "share": 50, "seed": 3}, format="json")
    assert (made.status_code, made.json()["seed"]) == (201, 3)
    assert client.post("/api/v1/label-errors/draws/", {"size": 2, "kind": 1}, format="json").status_code == 400
    item = client.post("/api/v1/label-errors/next/").json()
    address = f"/api/v1/label-errors/{item['id']}/verdict/"
    said = client.post(address, {"verdict": "error", "note": "No."}, format="json").json()
    assert (said["verdict"], said["revision"], type(said["random"])) == ("error", 1, bool)
    assert client.post(address, {"verdict": "odd"}, format="json").status_code == 400
    while (answer := client.post("/api/v1/label-errors/next/")).status_code == 200:
        client.post(f"/api/v1/label-errors/{answer.json()['id']}/verdict/", {"verdict": "fine"}, format="json")
    assert answer.status_code == 204
    found = client.get("/api/v1/label-errors/").json()
    assert found["reward_model"] is None
    assert found["answers"]["with_colleagues"] == 3
    assert found["cuts"][0]["suspicious"]["looked_at"] == 1
    assert client.get("/api/v1/label-errors/suspicious/?after=nonsense").status_code == 400
    assert client.post("/api/v1/label-errors/look/", {}, format="json").json()["state"] == "queued"
