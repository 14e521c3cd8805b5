import json

from django.core.management import call_command

from labeling.agreement import queries
from tests.factories import make_batch, make_ranking, make_task


def double(*, batch=None, people, ranks):
    task = make_task(batch=batch or make_batch(overlap=len(people)), texts=("a", "b", "c"))
    return [make_ranking(task=task, labeler=one, ranks=list(order)) for one, order in zip(people, ranks, strict=True)]


def test_only_tasks_that_two_ranked_count(ada, bo):
    double(people=[ada, bo], ranks=[(1, 2, 3), (1, 3, 2)])
    make_ranking(task=make_task(), labeler=ada)
    found = queries.agreement()
    assert (found["pairwise"]["agree"], found["pairwise"]["pairs"]) == (2, 3)
    assert (found["tasks"], found["prompts"], found["rankings"], found["labelers"]) == (1, 1, 3, 2)


def test_revision_replaces_what_it_corrects(ada, bo):
    from labeling.rankings.models import Judgment, Ranking

    first, _ = double(people=[ada, bo], ranks=[(3, 2, 1), (1, 2, 3)])
    assert queries.agreement()["pairwise"]["agree"] == 0
    second = Ranking.objects.create(
        lease=first.lease,
        task=first.task,
        labeler=ada,
        group="training",
        revision=2,
        replaces=first,
        idempotency_key="again",
        payload_sha256="0" * 64,
        order_shown=[],
    )
    for judgment in first.judgments.all():
        Judgment.objects.create(ranking=second, completion=judgment.completion, rank=4 - judgment.rank)
    assert queries.agreement()["pairwise"]["agree"] == 3


def test_simulated_labelers_are_left_out_unless_asked_for(ada, sim):
    double(people=[ada, sim], ranks=[(1, 2, 3), (1, 2, 3)])
    assert queries.agreement()["pairwise"]["pairs"] == 0
    found = queries.agreement(simulated=True)
    assert (found["pairwise"]["pairs"], found["simulated"]) == (3, True)


def test_one_group_is_compared_within_itself(ada, bo, hal):
    double(people=[ada, bo, hal], ranks=[(1, 2, 3), (1, 2, 3), (3, 2, 1)])
    assert queries.agreement(group="training")["pairwise"]["rate"] == 1
    assert queries.agreement()["pairwise"]["pairs"] == 9
    assert [row["group"] for row in queries.agreement_by_group()] == ["held_out", "training"]


def test_interval_is_clustered_by_prompt(ada, bo):
    batch = make_batch(overlap=2)
    for ranks in [((1, 2, 3), (1, 2, 3))] * 6 + [((1, 2, 3), (3, 2, 1))] * 6:
        double(batch=batch, people=[ada, bo], ranks=ranks)
    found = queries.agreement(batch=batch)["pairwise"]
    assert found["rate"] == 0.5
    low, high = found["ci95"]
    assert low < 0.3
    assert high > 0.7


def test_command_prints_json_alone(ada, bo, capsys):
    double(people=[ada, bo], ranks=[(1, 2, 3), (1, 3, 2)])
    call_command("agreement", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert {"agree", "pairs", "rate", "ci95"} <= set(printed["pairwise"])
    assert len(printed["pairwise"]["ci95"]) == 2


def test_page_and_api_are_for_staff(page, api, ada, bo, rita, sim):
    batch = make_batch(overlap=3)
    double(batch=batch, people=[ada, bo, sim], ranks=[(1, 2, 3), (1, 3, 2), (1, 2, 3)])
    shown = page(rita).get("/agreement/").content.decode()
    assert "66.7 %" in shown
    assert "programs, not people" in shown
    assert page(rita).get(f"/agreement/?batch={batch.pk}").status_code == 200
    assert page(ada).get("/agreement/").status_code == 403
    assert api(ada).get("/api/v1/agreement/").status_code == 403
    body = api(rita).get("/api/v1/agreement/").json()
    assert body["pairwise"]["pairs"] == 3
    assert api(rita).get("/api/v1/agreement/?simulated=true").json()["pairwise"]["pairs"] == 9
    assert api(rita).get("/api/v1/agreement/?group=nobody").status_code == 400
    assert api(rita).get("/api/v1/agreement/?batch=999999").status_code == 404
    assert api(rita).get("/api/v1/agreement/?batch=x").status_code == 404
