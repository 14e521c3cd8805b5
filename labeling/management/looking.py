"""The demo's search for label errors: of what its programs answered some is drawn, Rita has looked at most of that, and
the rest waits."""

from __future__ import annotations

from labeling.label_errors import services as label_errors
from labeling.label_errors.models import ErrorDraw, ErrorItem, ErrorVerdict
from labeling.management import disagreement
from labeling.management.checking import NOTHING
from labeling.people.models import User
from labeling.rankings.models import Ranking

DRAWN, SUSPICIOUS, WAITING = 32, 50, 6  # answers, of a hundred, answers


def bring_looks() -> None:
    """Made once. What is an error is plain: of these answers some put saying nothing before an answer."""
    rita = User.objects.filter(username="rita", role=User.Role.RESEARCHER).first()
    if rita is None or ErrorDraw.objects.exists():
        return
    label_errors.refresh()
    # Whoever reads what is new misses answers that bear a time weeks ago, as those of the demo's checks do.
    answered = Ranking.objects.filter(group=User.Group.SIMULATED).values_list("task", flat=True)
    label_errors.refresh_tasks(list(answered.distinct()))
    label_errors.count_answers()
    draw = label_errors.draw_answers(size=DRAWN, share=SUSPICIOUS, simulated=True, seed=1, actor=rita)
    for _ in range(draw.items.count() - WAITING):
        item = label_errors.claim_next(reviewer=rita)
        verdict, note = _said(item)
        label_errors.judge(item_id=item.pk, reviewer=rita, verdict=verdict, note=note)


def _said(item: ErrorItem) -> tuple[str, str]:
    if item.ranking.task.batch.name == disagreement.BATCH:
        return ErrorVerdict.Verdict.UNCLEAR, "Long or short: a matter of taste."
    best = item.ranking.judgments.select_related("completion").order_by("rank").first()
    if best.completion.text == NOTHING:
        return ErrorVerdict.Verdict.ERROR, "Saying nothing stands before the answer."
    return ErrorVerdict.Verdict.FINE, ""
