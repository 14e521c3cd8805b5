"""Sensitive prompts: named by staff, veiled on the task page, and spared those who opted out."""

from __future__ import annotations

import pytest

from labeling.audit.models import AuditEvent
from labeling.intake.models import Prompt
from labeling.leasing.services import grant_lease
from labeling.people.services import opt_out
from tests import factories

pytestmark = pytest.mark.django_db


def test_what_staff_say_holds_for_tasks_that_wait(ada, bo, amy, page):
    task = factories.make_task(batch=factories.make_batch(overlap=2))
    prompt = task.item.prompt
    opt_out(user=ada, categories=["violence"])
    client = page(amy)
    address = f"/prompts/{prompt.pk}/categories/"
    assert client.post(address, {"categories": ["violence", "hate"]}).status_code == 302
    assert client.post(address, {"categories": ["violence", "hate"]}).status_code == 302
    assert AuditEvent.objects.get().detail == {"before": {"categories": []}, "categories": ["hate", "violence"]}
    assert client.get(f"/prompts/{prompt.pk}/").content.decode().count("checked") == 2
    assert grant_lease(labeler=ada) is None
    assert grant_lease(labeler=bo).task == task
    assert client.post(address, {}).status_code == 302
    assert grant_lease(labeler=ada).task == task


def test_wrong_categories_and_wrong_people(ada, amy, page):
    prompt = factories.make_prompt()
    address = f"/prompts/{prompt.pk}/categories/"
    assert page(amy).post(address, {"categories": ["cooking"]}).status_code == 400
    assert page(amy).post(f"/prompts/{amy.pk:0>32}/categories/", {}).status_code == 404
    assert page(ada).post(address, {"categories": ["hate"]}).status_code == 403
    assert Prompt.objects.get().categories == []


def test_the_task_names_its_categories_and_is_veiled(ada, api, page):
    factories.make_task(prompt=factories.make_prompt(categories=["violence"]))
    task = api(ada).post("/api/v1/tasks/next/").json()
    assert task["categories"] == ["violence"]
    shown = page(ada).get(f"/work/{task['id']}/").content.decode()
    assert "data-veil>" in shown and "Violence" in shown


def test_other_tasks_are_not_veiled(ada, page):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    assert "data-veil hidden>" in page(ada).get(f"/work/{lease.pk}/").content.decode()
