from __future__ import annotations

import pytest

from labeling.background import services
from labeling.background.models import Job


@pytest.fixture
def job(db, rita):
    return services.enqueue(kind="nothing", arguments={}, created_by=rita)


def test_list_filters_by_state_and_turns_pages(page, rita):
    for number in range(55):
        Job.objects.create(kind=f"k{number}", state="done")
    client = page(rita)
    first = client.get("/jobs/?state=done").context["page"]
    second = client.get("/jobs/", {"state": "done", "after": first.next}).context["page"]
    assert (len(first), len(second)) == (50, 5)
    assert client.get("/jobs/?state=lost").status_code == 400
    assert client.get("/jobs/?after=lost").status_code == 400


def test_fragment_asks_again_only_while_the_job_is_open(page, rita, job):
    client = page(rita)
    ask = {"headers": {"HX-Request": "true"}}
    shown = client.get(f"/jobs/{job.pk}/", **ask).content.decode()
    assert 'hx-trigger="every 2s"' in shown and "<html" not in shown
    services.cancel(job=job)
    shown = client.get(f"/jobs/{job.pk}/", **ask).content.decode()
    assert "hx-trigger" not in shown and "Start again" in shown


def test_cancel_and_start_again_from_the_page(page, rita, job):
    client = page(rita)
    client.post(f"/jobs/{job.pk}/cancel/")
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert client.post(f"/jobs/{job.pk}/cancel/").status_code == 409
    client.post(f"/jobs/{job.pk}/retry/")
    job.refresh_from_db()
    assert job.state == "queued"
    assert client.post(f"/jobs/{job.pk}/retry/").status_code == 409


def test_job_over_the_api(api, rita, job):
    client = api(rita)
    assert client.get("/api/v1/jobs/").json()["jobs"][0]["id"] == str(job.pk)
    assert client.get(f"/api/v1/jobs/{job.pk}/").json()["state"] == "queued"
    assert client.post(f"/api/v1/jobs/{job.pk}/cancel/").json()["state"] == "cancelled"
    assert client.post(f"/api/v1/jobs/{job.pk}/cancel/").status_code == 409
    assert client.post(f"/api/v1/jobs/{job.pk}/retry/").json()["state"] == "queued"
    assert client.get("/api/v1/jobs/00000000-0000-0000-0000-000000000000/").status_code == 404


def test_error_is_escaped(page, rita, job):
    Job.objects.filter(pk=job.pk).update(state="failed", error="<script>alert(1)</script>")
    assert "<script>alert" not in page(rita).get(f"/jobs/{job.pk}/").content.decode()
