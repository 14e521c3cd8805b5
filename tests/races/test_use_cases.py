"""Many who name one prompt at one moment: every word is kept, and what follows is what follows from all."""

from __future__ import annotations

from functools import partial

import pytest

from labeling.intake.models import Prompt
from labeling.people.models import User
from labeling.use_cases import services, targets
from labeling.use_cases.models import UseCaseAssignment, UseCaseStanding
from tests.factories import make_prompt
from tests.races.conftest import kinds, together

pytestmark = pytest.mark.django_db(transaction=True)


def test_nobodys_word_is_lost():
    prompt = make_prompt(use_case="extract")
    people = [User.objects.create_user(f"r-{n}", role="researcher", group="researcher") for n in range(7)]
    words = ["chat", "chat", "chat", "chat", "rewrite", "rewrite", "other"]
    say = partial(services.assign, prompt_id=prompt.pk)
    results = together(*(partial(say, use_case=word, person=each) for each, word in zip(people, words, strict=True)))
    assert kinds(results) == []
    assert UseCaseAssignment.objects.filter(person=None).count() == 1, "what it came with is kept once"
    standing = UseCaseStanding.objects.get(prompt=prompt)
    assert (standing.use_case, standing.people, standing.votes) == ("chat", 7, 4)
    assert Prompt.objects.get(pk=prompt.pk).use_case == "chat"


def test_two_admins_do_not_overwrite_each_other():
    amy, ann = (User.objects.create_user(name, role="admin", group="researcher") for name in ("amy", "ann"))
    change = partial(targets.set_target, shares={"chat": 100}, suggestions="after", replaces=0)
    assert kinds(together(partial(change, actor=amy), partial(change, actor=ann))) == ["Conflict"]
    assert targets.current().number == 1
