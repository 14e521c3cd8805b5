"""A form that is sent twice at once sends one message."""

from __future__ import annotations

import pytest

from labeling.notices.models import Notice, NoticeReceipt
from labeling.notices.services import read_notice
from labeling.people.models import User
from tests.factories import send_message
from tests.races.conftest import kinds, together

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_form_sent_by_many_clicks_is_one_message(people):
    people(3)
    amy = User.objects.create_user("amy", password=None, role="admin", group="researcher")
    results = together(*[lambda: send_message(author=amy, key="k")] * 4)
    assert kinds(results) == [] and len({notice.pk for notice in results}) == 1
    assert (Notice.objects.count(), NoticeReceipt.objects.count()) == (1, 3)


def test_two_tabs_read_at_one_time(people):
    (ada,) = people(1)
    amy = User.objects.create_user("amy", password=None, role="admin", group="researcher")
    notice = send_message(author=amy)
    results = together(*[lambda: read_notice(notice_id=notice.pk, person=ada)] * 4)
    assert kinds(results) == [] and len({receipt.read_at for receipt in results}) == 1
