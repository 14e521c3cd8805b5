"""Bring written prompts into the pool where they are reviewed: by the review that counts; a later one may undo it."""

from __future__ import annotations

from django.db import transaction

from labeling.demos.layout import content_of
from labeling.demos.models import Admission, WrittenPrompt
from labeling.demos.written import Said, admit_written_prompt, corrected, lock_revisions, settle_admission, take_out
from labeling.reviews.models import Review
from labeling.reviews.queries import that_count


def admit(*, written: WrittenPrompt) -> Admission | None:
    """What the gate says of `written`; None while it waits for its review. May be called by several at once, late, and
    again: what is done follows from what is stored by then."""
    return admit_reviewed(written=written) if written.task.batch.review else admit_written_prompt(written=written)


@transaction.atomic(durable=True)
def admit_reviewed(*, written: WrittenPrompt) -> Admission | None:
    """What the gate says of `written`, by the review of it that counts. One that is accepted goes in, one that is
    edited as edited, and one that is sent back, not even if it was in before. While there is no review, what it
    replaces goes out: its writer took that back."""
    revisions = lock_revisions(written)
    # Only now: of two reviews, whoever comes second to the lock sees the later one.
    review = that_count().filter(written_prompt=written).select_related("labeler").first()
    if review is not None:
        return settle_admission(written, revisions=revisions, said=_said(review, written))
    if written.pk == revisions[-1].pk:
        before = Admission.objects.filter(written__in=revisions).select_related("prompt").order_by("id")
        take_out(list(before), because=corrected(written), decided_by=written.labeler)
    return None


def _said(review: Review, written: WrittenPrompt) -> Said:
    content, text_id, because = written.content, written.pk, "Accepted in review"
    if review.verdict == Review.Verdict.EDIT:
        texts = [part["content"] for part in review.conversation]
        content, text_id, because = content_of(written.form, texts), review.pk, "Edited in review"
    elif review.verdict == Review.Verdict.SEND_BACK:
        content, because = None, f"Sent back in review: {review.note}"
    return Said(
        review_id=review.pk,
        by=review.labeler,
        group=review.group,
        content=content,
        text_id=text_id,
        because=because,
    )
