"""The guide's page is docs/labelers.md."""

import pytest


@pytest.mark.parametrize("name", ["ada", "rita", "amy"])
def test_everyone_may_read_the_guide(name, page, request):
    answer = page(request.getfixturevalue(name)).get("/guide/")
    assert answer.status_code == 200
    assert "Rate each completion alone" in answer.content.decode()


def test_guide_asks_for_sign_in_first(page, db):
    assert page().get("/guide/").status_code == 302
