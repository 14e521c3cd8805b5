"""People over the API, for admins alone."""

from __future__ import annotations

import pytest

from labeling.people.models import User

pytestmark = pytest.mark.django_db


def test_list_offboard_and_activate(api, amy, rita, ada, bo):
    admin = api(amy)
    listed = admin.get("/api/v1/people/?role=labeler").json()
    assert [one["user_name"] for one in listed["results"]] == ["ada", "bo"] and listed["next"] is None
    assert listed["results"][0]["standing"] == "active"
    address = f"/api/v1/people/{ada.pk}/"
    assert admin.post(f"{address}offboard/", {}, format="json").status_code == 400
    left = admin.post(f"{address}offboard/", {"reason": "Moves away."}, format="json")
    assert (left.status_code, left.json()["standing"]) == (200, "offboarded")
    assert [one["user_name"] for one in admin.get("/api/v1/people/?standing=offboarded").json()["results"]] == ["ada"]
    assert admin.post(f"{address}activate/").json()["standing"] == "active"
    assert User.objects.get(pk=ada.pk).is_active
    assert admin.get("/api/v1/people/?sort=size").status_code == 400
    for person in (rita, bo):
        assert api(person).get("/api/v1/people/").status_code == 403
        assert api(person).post(f"{address}offboard/", {"reason": "x"}, format="json").status_code == 403
