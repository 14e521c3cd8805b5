import pytest

from labeling.background.models import Job
from labeling.campaigns import queries, services
from labeling.campaigns.models import Campaign
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.sampling.models import Provenance
from tests.factories import make_batch, make_endpoint, make_prompt, make_ranking, make_task


@pytest.fixture
def two(db):
    return make_endpoint("old"), make_endpoint("new")


def judged(two, *, rankings):
    """A campaign whose tasks have completions new, old, new, old; `rankings` are (labeler, ranks), a task each."""
    old, new = two
    campaign = Campaign.objects.create(
        name="judged", batch=make_batch(evaluation=True, overlap=2), baseline=old, candidate=new
    )
    made = []
    for labeler, ranks in rankings:
        task = make_task(batch=campaign.batch, texts=("a", "b", "c", "d"))
        for completion, endpoint in zip(
            task.item.completions.order_by("created_at", "id"), (new, old) * 2, strict=True
        ):
            Provenance.objects.create(completion=completion, endpoint=endpoint, model=endpoint.model)
        made.append(make_ranking(task=task, labeler=labeler, ranks=ranks))
    return campaign, made


def test_campaign_is_a_blind_evaluation_batch_that_is_being_sampled(two, rita):
    old, new = two
    make_prompt(split="valid")
    campaign = services.start_campaign(name="first", baseline=old, candidate=new, each=2, created_by=rita)
    assert campaign.batch.evaluation
    assert set(campaign.batch.endpoints.all()) == {old, new}
    assert campaign.batch.items.get().k == 4
    assert Job.objects.get(kind="sample_batch").key == f"sample:{campaign.batch_id}"


def test_unfitting_campaigns_are_refused(two, rita):
    old, new = two
    make_prompt()
    with pytest.raises(Refusal, match="two models"):
        services.start_campaign(name="x", baseline=old, candidate=old)
    with pytest.raises(Refusal, match="1 to 13"):
        services.start_campaign(name="x", baseline=old, candidate=new, each=14)
    services.start_campaign(name="x", baseline=old, candidate=new)
    with pytest.raises(Conflict, match="already"):
        services.start_campaign(name="x", baseline=old, candidate=new)
    with pytest.raises(NotFound):
        queries.get_campaign("nothing")


def test_win_rate_by_hand(two, ada, bo):
    # new, old, new, old. First: 1 2 3 4 → 3 of 4. Second: all tied → 2 of 4. Third: 4 1 3 2 → 0 of 4.
    campaign, _ = judged(two, rankings=[(ada, [1, 2, 3, 4]), (bo, [1, 1, 1, 1]), (ada, [4, 1, 3, 2])])
    found = queries.win_rate(campaign)
    assert (found.score.wins, found.score.ties, found.score.losses) == (3, 4, 5)
    assert found.rate == 5 / 12
    assert (found.rankings, found.prompts) == (3, 3)


def test_people_and_programs_are_never_mixed(two, ada, sim):
    campaign, _ = judged(two, rankings=[(sim, [1, 2, 3, 4])])
    assert queries.result(campaign)["judged_by"] == "simulated labelers"
    assert queries.win_rate(campaign).rate == 0.75
    task = make_task(batch=campaign.batch, texts=("a", "b"))
    for completion, endpoint in zip(task.item.completions.order_by("created_at", "id"), two, strict=True):
        Provenance.objects.create(completion=completion, endpoint=endpoint, model="m")
    make_ranking(task=task, labeler=ada, ranks=[1, 2])
    assert queries.result(campaign)["judged_by"] == "people"
    assert queries.win_rate(campaign).rate == 0
    assert queries.win_rate(campaign, simulated=True).rate == 0.75


def test_pages_and_api(page, api, two, ada, rita):
    old, new = two
    make_prompt(split="valid")
    assert "first-look" not in page(rita).get("/campaigns/").content.decode()
    assert page(rita).get("/campaigns/new/").status_code == 200
    form = {
        "name": "first-look",
        "baseline": old.pk,
        "candidate": new.pk,
        "splits": ["valid"],
        "count": 5,
        "each": 1,
        "overlap": 1,
        "groups": ["training"],
        "temperature": 1,
        "max_tokens": 32,
        "seed": 0,
    }
    assert page(rita).post("/campaigns/new/", {**form, "candidate": old.pk}).status_code == 400
    answer = page(rita).post("/campaigns/new/", form)
    assert answer.status_code == 302
    assert page(rita).get(answer.url).status_code == 200
    assert "first-look" in page(rita).get("/campaigns/").content.decode()
    assert page(ada).get("/campaigns/").status_code == 403

    body = {"name": "by-api", "baseline": "old", "candidate": "new", "splits": ["valid"], "each": 1}
    made = api(rita).post("/api/v1/campaigns/", body, format="json")
    assert made.status_code == 201
    detail = api(rita).get(f"/api/v1/campaigns/{made.json()['id']}/").json()
    assert detail["win_rate"]["rate"] is None
    assert len(api(rita).get("/api/v1/campaigns/").json()["results"]) == 2
    assert api(ada).get("/api/v1/campaigns/").status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"each": "two"},
        {"each": True},
        {"temperature": "hot"},
        {"splits": "valid"},
        {"groups": ["nobody"]},
        {"name": 7},
        {"unknown": 1},
        {"baseline": None},
        {"count": -1},
    ],
)
def test_bad_bodies_are_400(api, two, rita, change):
    make_prompt(split="valid")
    body = {"name": "bad", "baseline": "old", "candidate": "new", "splits": ["valid"], **change}
    assert api(rita).post("/api/v1/campaigns/", body, format="json").status_code == 400
    assert not Campaign.objects.exists()
