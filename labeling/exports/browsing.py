"""Looking into data sets: their rows, found by the words of their prompts, and what is in one and not in another."""

from __future__ import annotations

from django.contrib.postgres.search import SearchQuery
from django.db import OperationalError, connection, transaction
from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _

from labeling.exports.lines import pseudonym
from labeling.exports.models import Dataset, DatasetRow
from labeling.intake.models import Prompt, PromptWords
from labeling.paging import Page, keyset_page
from labeling.rankings.models import Judgment
from labeling.refusals import Refusal
from labeling.reports.services import Kind, Shown, ask, report_kind
from labeling.text import check_text

PATIENCE = 5_000  # ms that a search may take
LONGEST = 200  # characters of what is searched for
LISTED = 200  # rows that are in one of two data sets alone, of which so many are shown
SMALL = 20_000  # rows of two data sets that a request may compare itself: a tenth of a second
QUOTES = str.maketrans("“”„«»", '"""""')  # as phones and word processors set them
KIND = "dataset_difference"


class TooCommon(Refusal):
    code = "too_common"


def page_of_rows(dataset: Dataset, *, words: str = "", after: str | None = None, size: int = 30) -> Page:
    """The rows of a complete data set in the order of its files, those whose prompt has all of `words`.

    `words` as people type them: "two words" beside each other, `or`, and - for those that must be missing. A row made
    of several answers is there once for each. What was held, dropped or erased since is not found by its words.
    Refusal for words that cannot be searched for, and where so many prompts have them that it would take long.
    """
    words = check_text(words, where=_("what is searched for")).strip().translate(QUOTES)
    if len(words) > LONGEST:
        raise Refusal(_("Search for at most {count} characters.").format(count=LONGEST))
    rows = _with_answers(DatasetRow.objects.filter(dataset=dataset))
    if not words:
        return keyset_page(rows, order=("id",), after=after, size=size)
    found = Prompt.objects.annotate(words=PromptWords()).filter(
        words=SearchQuery(words, config="simple", search_type="websearch"), state=Prompt.State.ACCEPTED
    )
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(PATIENCE)])
            page = keyset_page(rows.filter(prompt__in=found), order=("id",), after=after, size=size)
            cursor.execute("SELECT set_config('statement_timeout', '0', true)")
            return page
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "57014":
            raise
        raise TooCommon(_("Too many prompts have these words; add a rarer one.")) from None


def _with_answers(rows: QuerySet[DatasetRow]) -> QuerySet[DatasetRow]:
    judgments = Judgment.objects.select_related("completion").order_by("rank", "id")
    answers = ("ranking__labeler", "demonstration__labeler", "review__labeler")
    return rows.select_related("prompt__source", "prompt__source_user", *answers).prefetch_related(
        Prefetch("ranking__judgments", judgments)
    )


def row_summary(row: DatasetRow) -> dict:
    """A row as the API shows it, without its texts where its prompt was held, dropped or erased since."""
    shown = row.prompt.state == Prompt.State.ACCEPTED
    answer = row.ranking or row.demonstration
    judgments = row.ranking.judgments.all() if row.ranking_id and shown else []
    return {
        "id": str(answer.pk if answer else row.prompt_id),
        "prompt": str(row.prompt_id),
        "prompt_state": row.prompt.state,
        "source": row.prompt.source.name,
        "split": row.prompt.source_user.split,
        "messages": row.prompt.messages if shown else None,
        "labeler": pseudonym(answer.labeler_id) if answer else None,
        "completions": [
            {"id": str(one.completion_id), "text": one.completion.text, "rank": one.rank, "rating": one.rating}
            for one in judgments
        ],
    }


# Two data sets


def check_pair(one: Dataset, other: Dataset) -> None:
    """Refusal where the two cannot be compared row by row."""
    if not one.content_hash or not other.content_hash:
        raise Refusal(_("Only data sets that are complete can be compared; wait until their jobs are done."))
    if one.pk == other.pk:
        raise Refusal(_("That is the same data set; choose another one."))
    if one.kind != other.kind:
        raise Refusal(_("These are of different kinds, and have no row in common; choose one of the same kind."))


def difference(one: Dataset, other: Dataset) -> Shown:
    """What is in one of two complete data sets of one kind and not in the other: {"both", "first", "second"} counts of
    answers (or prompts, where the kind has none), "prompts" the same of prompts, and the first LISTED rows of either.
    None while a worker counts."""
    check_pair(one, other)
    return ask(KIND, {"first": str(one.pk), "second": str(other.pk)}, drawn=False)


def make(arguments: dict) -> dict:
    pair = [arguments["first"], arguments["second"]]
    answer = "coalesce(ranking_id::text, demonstration_id::text || coalesce('/' || review_id, ''), prompt_id::text)"
    content = _compared(pair, answer, listed=True)
    content["prompts"] = _compared(pair, "prompt_id", listed=False)
    return content


def _compared(pair: list[str], key: str, *, listed: bool) -> dict:
    table = DatasetRow._meta.db_table
    either = " FULL JOIN ".join(
        f"(SELECT {key} AS key, min(id) AS id FROM {table} WHERE dataset_id = %s GROUP BY 1) AS {name}"
        for name in ("first", "second")
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT count(*) FILTER (WHERE first.id IS NOT NULL AND second.id IS NOT NULL),
                count(*) FILTER (WHERE second.id IS NULL), count(*) FILTER (WHERE first.id IS NULL),
                (array_agg(first.id ORDER BY first.id) FILTER (WHERE second.id IS NULL))[1:%s],
                (array_agg(second.id ORDER BY second.id) FILTER (WHERE first.id IS NULL))[1:%s]
            FROM {either} USING (key)
            """,
            [LISTED, LISTED, *pair],
        )
        both, first, second, *rows = cursor.fetchone()
    counts = {"both": both, "first": first, "second": second}
    return counts | ({"rows": [some or [] for some in rows]} if listed else {})


def is_small(arguments: dict) -> bool:
    pair = Dataset.objects.filter(pk__in=arguments.values()).values_list("manifest__counts__rows", flat=True)
    return sum(rows or 0 for rows in pair) <= SMALL


def rows_by_id(ids: list[int]) -> list[DatasetRow]:
    """The rows with these ids, in their order."""
    return list(_with_answers(DatasetRow.objects.filter(pk__in=ids)).order_by("id"))


def unlike(one: Dataset, other: Dataset) -> list[dict]:
    """What the two were asked for where they differ: [{"name", "first", "second"}], by name."""
    names = sorted({*one.question, *other.question})
    return [
        {"name": name, "first": one.question.get(name), "second": other.question.get(name)}
        for name in names
        if one.question.get(name) != other.question.get(name)
    ]


# Data sets never change: what was counted once stays right.
report_kind(KIND, Kind(make=make, draw=lambda _content: {}, changed=lambda: None, is_small=is_small))
