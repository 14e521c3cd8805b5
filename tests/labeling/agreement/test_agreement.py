"""Agreement of what is in the database: what counts, in which cut, and what pages and programs are told."""

import csv
import io
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from labeling.agreement import brute_force, queries, reading
from labeling.agreement.reports import agreement_report
from labeling.forms.models import FormVersion
from labeling.leasing.services import open_tasks
from labeling.people.models import User
from labeling.sampling.services import repeat_batch
from tests.factories import make_batch, make_prompt, make_ranking, make_task


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
    assert list(queries.agreement()["groups"]) == ["training"]


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
    with_programs = page(rita).get("/agreement/?simulated=1").content.decode()
    assert "Simulated labelers are counted like people" in with_programs
    assert "9 pairs" in with_programs
    assert page(ada).get("/agreement/").status_code == 403
    assert api(ada).get("/api/v1/agreement/").status_code == 403
    body = api(rita).get("/api/v1/agreement/").json()
    assert body["pairwise"]["pairs"] == 3
    assert api(rita).get("/api/v1/agreement/?simulated=true").json()["pairwise"]["pairs"] == 9
    assert api(rita).get("/api/v1/agreement/?group=nobody").status_code == 400
    assert api(rita).get("/api/v1/agreement/?batch=999999").status_code == 404
    assert api(rita).get("/api/v1/agreement/?batch=x").status_code == 404


def test_figures_are_those_of_the_brute_force_count(db):
    """Random orders with ties by random sets of labelers, each prompt in several tasks."""
    rng = np.random.default_rng(3)
    people = [
        User.objects.create_user(f"p{number}", group=group)
        for number, group in enumerate(["training"] * 4 + ["held_out"] * 2 + ["researcher"])
    ]
    batch = make_batch(overlap=7)
    prompts = [make_prompt() for _ in range(12)]
    for number in range(24):
        batch = batch if number < 12 else make_batch(overlap=7)
        task = make_task(batch=batch, prompt=prompts[number % 12], texts=list("abcde")[: rng.integers(2, 6)])
        for person in rng.permutation(people)[: rng.integers(1, 8)]:
            make_ranking(task=task, labeler=person, ranks=rng.integers(1, 5, task.item.completions.count()).tolist())
    found = queries.agreement()
    slow = brute_force.count(queries.compared_rankings())
    for name in ("pairwise", "ties_half"):
        assert {key: found[name][key] for key in slow[name]} == pytest.approx(slow[name])
    assert found["prompts"] == 12
    within = [cut["pairwise"]["pairs"] for cut in found["groups"].values()]
    across = [found[name]["pairwise"]["pairs"] for name in ("with_researchers", "held_out_with_training")]
    assert sum(within) + sum(across) == found["pairwise"]["pairs"]
    assert sum(row["others"]["pairwise"]["pairs"] for row in found["by_labeler"]) == 2 * found["pairwise"]["pairs"]


def test_chunks_of_the_stream_change_nothing(monkeypatch, ada, bo):
    for number in range(30):
        double(people=[ada, bo], ranks=[(1, 2, 3), (1, 2, 3) if number % 3 else (3, 2, 1)])
    whole = queries.agreement()
    monkeypatch.setattr(reading, "CHUNK", 1000)
    assert queries.agreement() == whole


def test_cuts_by_use_case_and_week(ada, bo):
    monday, sunday = datetime(2026, 3, 2, 0, 30, tzinfo=UTC), datetime(2026, 3, 8, 23, 30, tzinfo=UTC)
    for use_case, when, ranks in (("chat", monday, (1, 2)), ("chat", sunday, (1, 2)), ("", sunday, (2, 1))):
        task = make_task(batch=make_batch(overlap=2), prompt=make_prompt(use_case=use_case), texts=("a", "b"))
        make_ranking(task=task, labeler=ada, ranks=[1, 2], created_at=datetime(2026, 2, 20, tzinfo=UTC))
        make_ranking(task=task, labeler=bo, ranks=list(ranks), created_at=when)
    late = make_task(batch=make_batch(overlap=2), texts=("a", "b"))
    for person in (ada, bo):
        make_ranking(task=late, labeler=person, ranks=[1, 2], created_at=datetime(2026, 3, 9, tzinfo=UTC))
    found = queries.agreement()
    assert {name: cut["pairwise"]["agree"] for name, cut in found["use_cases"].items()} == {"": 1, "chat": 2}
    # A pair belongs to the week of its later answer; weeks begin on Monday.
    weeks = {week: (cut["pairwise"]["agree"], cut["pairwise"]["pairs"]) for week, cut in found["weeks"].items()}
    assert weeks == {"2026-03-02": (2, 3), "2026-03-09": (1, 1)}


def again(task, labeler, orders, **extra):
    """A ranking by the completions' texts."""
    texts = task.item.completions.order_by("created_at", "id").values_list("text", flat=True)
    return make_ranking(task=task, labeler=labeler, ranks=[orders[text] for text in texts], **extra)


def test_repeats_show_self_consistency_and_nothing_else(ada, bo, amy):
    batch = make_batch(overlap=2, state="open")
    tasks = [make_task(batch=batch, texts=("a", "b", "c")) for _ in range(2)]
    for task in tasks:
        for person in (ada, bo):
            again(task, person, {"a": 1, "b": 2, "c": 3})
    before = queries.agreement()
    repeat = repeat_batch(batch=batch, name="again", count=None, actor=amy)
    open_tasks(batch=repeat)
    for task in repeat.tasks.all():
        again(task, ada, {"a": 1, "b": 3, "c": 2})
        again(task, bo, {"a": 1, "b": 2, "c": 3})
    found = queries.agreement()
    assert found["pairwise"] == before["pairwise"]
    own = found["self_consistency"]
    assert (own["pairwise"]["agree"], own["pairwise"]["pairs"], own["tasks"]) == (10, 12, 4)
    rates = {row["labeler"]: row["pairwise"]["rate"] for row in own["by_labeler"]}
    assert rates == {ada.pk: pytest.approx(2 / 3), bo.pk: 1}
    # Asked for by name, a repeat is a batch like others.
    of_repeat = queries.agreement(batch=repeat)
    assert of_repeat["pairwise"]["pairs"] == 6
    assert of_repeat["self_consistency"]["pairwise"]["pairs"] == 12


def test_ratings_and_flags_come_from_their_columns(ada, bo):
    form = FormVersion.objects.get(form__name="instructgpt", number=1)
    for ratings, flags, unclear in (((6, 2), [["hallucination"], []], ["ambiguous"]), ((7, 1), [[], ["opinion"]], [])):
        task = make_task(batch=make_batch(overlap=2), texts=("a", "b"))
        make_ranking(
            task=task,
            labeler=ada,
            ratings=ratings,
            flags=flags,
            form_version=form,
            prompt_fields={"flags": unclear, "values": {}},
        )
        make_ranking(task=task, labeler=bo, ratings=ratings, flags=[["hallucination"], []], form_version=form)
    found = queries.agreement()
    assert found["ratings_pearson"]["value"] == pytest.approx(1)
    assert found["alpha_ratings"]["value"] == pytest.approx(1)
    by_flag = found["flags"]["by_flag"]
    # Ada flags the first of the first task, Bo the first of both: 3 of 4 agree; 3 of 8 set.
    chance = (3 / 8) ** 2 + (5 / 8) ** 2
    assert by_flag["hallucination"]["value"] == pytest.approx((3 / 4 - chance) / (1 - chance))
    assert by_flag["prompt:ambiguous"]["pairs"] == 2
    assert by_flag["prompt:ambiguous"]["value"] == pytest.approx((1 / 2 - 10 / 16) / (6 / 16))
    assert by_flag["violent"]["value"] is None


def test_answer_without_an_order_is_rated_all_the_same(ada, bo):
    task = make_task(batch=make_batch(overlap=2), texts=("a", "b"))
    for person in (ada, bo):
        make_ranking(task=task, labeler=person, ratings=(1, 2), outcome="all_bad")
    found = queries.agreement()
    assert found["pairwise"]["pairs"] == 0
    assert found["ratings_pearson"]["pairs"] == 2


def test_imported_rankings_give_the_figures_of_the_brute_force_count(shared_data, capsys, db):
    """What the command prints of rankings by four people, beside the count pair by pair and one from the file."""
    call_command("import_rankings", str(shared_data / "multi_rankings_squality.jsonl"), stdout=io.StringIO())
    call_command("agreement", "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["rankings"], found["labelers"], found["tasks"]) == (180, 4, 60)
    for name in ("pairwise", "ties_half"):
        slow = found["brute_force"][name]
        assert {key: found[name][key] for key in slow} == slow
    agree = pairs = 0
    for line in (shared_data / "multi_rankings_squality.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        names = sorted(row["completions"])
        for i, one in enumerate(row["rankings"]):
            for two in row["rankings"][i + 1 :]:
                for a, left in enumerate(names):
                    for right in names[a + 1 :]:
                        x, y = (each["ranks"][left] - each["ranks"][right] for each in (one, two))
                        pairs += bool(x * y)
                        agree += x * y > 0
    assert (found["pairwise"]["agree"], found["pairwise"]["pairs"]) == (agree, pairs)
    call_command("agreement")
    assert f"Counted pair by pair: {agree} of {pairs} agree" in capsys.readouterr().out


def test_command_fails_where_the_two_counts_differ(monkeypatch, ada, bo):
    double(people=[ada, bo], ranks=[(1, 2, 3), (1, 3, 2)])
    wrong = {"pairwise": {"agree": 3, "pairs": 3}}
    monkeypatch.setattr(brute_force, "count", lambda _rankings: wrong)
    with pytest.raises(CommandError, match="other figures"):
        call_command("agreement", "--json", stdout=io.StringIO())


def test_page_has_each_plot_with_its_table_and_its_file(page, rita, ada, bo):
    double(people=[ada, bo], ranks=[(1, 2, 3), (1, 3, 2)])
    shown = page(rita).get("/agreement/").content.decode()
    plots = agreement_report().plots
    assert set(plots) >= {"cuts", "statistics", "weeks", "use-cases", "labelers"}
    assert shown.count('class="plot-drawing"') == sum(bool(plot.svg) for plot in plots.values()) > 3
    for name, plot in plots.items():
        file = page(rita).get(f"/agreement/{name}.csv")
        rows = list(csv.reader(io.StringIO(file.getvalue().decode())))
        assert rows[0] == plot.columns
        assert len(rows) == len(plot.rows) + 1
    assert page(rita).get("/agreement/nothing.csv").status_code == 404


def test_file_of_all_figures_has_a_row_for_each(page, rita, ada, bo):
    double(people=[ada, bo], ranks=[(1, 2, 3), (1, 3, 2)])
    file = page(rita).get("/agreement/all.csv").getvalue().decode()
    rows = {(row["cut"], row["statistic"]): row for row in csv.DictReader(io.StringIO(file))}
    assert float(rows["all", "pairwise"]["value"]) == pytest.approx(2 / 3)
    assert rows["group:training", "pairwise"]["count"] == "3"
    assert float(rows["all", "ties_half"]["chance"]) == 0.5
