"""Agreement as a report: kept ready for the pages, drawn in each language."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime

from django.db.models import Max
from django.utils.translation import gettext as _

from labeling import plots
from labeling.agreement import queries
from labeling.forms.models import FormVersion
from labeling.forms.wording import in_language
from labeling.people.models import User
from labeling.plots import Plot
from labeling.rankings.models import Ranking
from labeling.reports.services import Kind, Shown, ask, report_kind
from labeling.sampling.models import Batch
from labeling.wording import in_words

KIND = "agreement"
SMALL = 300  # rankings that a request may go through itself: a fraction of a second
SHARES = ("pairwise", "ties_half")
OF_ORDERS = (*SHARES, "tau_b")  # all that there is of a single labeler
# The statistics of a cut, in the order of tables and files.
STATISTICS = (*OF_ORDERS, *("alpha_ranks", "alpha_ratings", "ratings_pearson", "ratings_spearman"))


def agreement_report(
    *, batch: Batch | None = None, group: str = "", simulated: bool = False, drawn: bool = True
) -> Shown:
    """The figures of `queries.agreement`, at most a minute behind, or what says that they are being made."""
    queries.check_group(group)
    return ask(KIND, {"batch": batch.pk if batch else None, "group": group, "simulated": simulated}, drawn=drawn)


def of_labeler(labeler: User) -> dict[str, dict]:
    """One labeler's cuts of the kept report: with "others", with "researchers" and, on planned repeats, with
    "themselves". Those without a task in common are left out; all while it is being made."""
    content = agreement_report(simulated=labeler.is_simulated, drawn=False).content
    if content is None:
        return {}
    shared, repeated = (
        next((row for row in cut["by_labeler"] if row["labeler"] == labeler.pk), {})
        for cut in (content, content["self_consistency"])
    )
    found = {"others": shared.get("others"), "researchers": shared.get("researchers"), "themselves": repeated}
    return {name: cut for name, cut in found.items() if cut and cut["tasks"]}


def rates_by_labeler(*, simulated: bool) -> dict[int, float | None]:
    """labeler id → share of pairs ordered as others order them, of the kept report; empty while it is being made."""
    content = agreement_report(simulated=simulated, drawn=False).content or {"by_labeler": ()}
    return {row["labeler"]: row["others"]["pairwise"]["rate"] for row in content["by_labeler"]}


def make(arguments: dict) -> dict:
    batch = Batch.objects.get(pk=arguments["batch"]) if arguments["batch"] else None
    return queries.agreement(batch=batch, group=arguments["group"], simulated=arguments["simulated"])


# When something last changed that features above know of, and whose answers count with it: each adds itself (apps.py).
CHANGES: list[Callable[[], datetime | None]] = []


def changed() -> datetime | None:
    found = [Ranking.objects.aggregate(last=Max("created_at"))["last"], *(change() for change in CHANGES)]
    return max((time for time in found if time is not None), default=None)


def is_small(_arguments: dict) -> bool:
    return Ranking.objects.all()[: SMALL + 1].count() <= SMALL


def words() -> dict[str, str]:
    """The statistics in the reader's language."""
    return {
        "pairwise": _("Agree, ties left out"),
        "ties_half": _("Agree, ties at half"),
        "tau_b": _("Kendall's τ-b"),
        "alpha_ranks": _("Krippendorff's α of ranks"),
        "alpha_ratings": _("Krippendorff's α of ratings"),
        "ratings_pearson": _("Correlation of ratings"),
        "ratings_spearman": _("Rank correlation of ratings"),
        "flags": _("κ of flags, mean"),
    }


def cuts(content: dict) -> Iterator[tuple[str, str, dict]]:
    """Every cut with its key and its name in the reader's language, first of them all that there is."""
    yield "all", _("Between labelers"), content
    for group, cut in content["groups"].items():
        yield f"group:{group}", _("Within the group {group}").format(group=in_words(group)), cut
    yield "with_researchers", _("Labelers with researchers"), content["with_researchers"]
    yield "held_out_with_training", _("Held out with training"), content["held_out_with_training"]
    yield "self_consistency", _("With themselves, on repeats"), content["self_consistency"]
    for use_case, cut in sorted(content["use_cases"].items()):
        yield f"use_case:{use_case}", str(in_words(use_case)) if use_case else _("no use case"), cut
    for week, cut in sorted(content["weeks"].items()):
        yield f"week:{week}", week, cut


def value_of(figure: dict) -> float | None:
    return figure["rate"] if "rate" in figure else figure["value"]


def count_of(figure: dict) -> int:
    return next(figure[name] for name in ("pairs", "pairs_of_rankings", "values", "flags") if name in figure)


def figures_of(cut: dict) -> Iterator[tuple[str, dict]]:
    """The statistics of one cut by name, those of flags at the end; of a single labeler's, those that there are."""
    yield from ((name, cut[name]) for name in STATISTICS if name in cut)
    if "flags" in cut:
        yield "flags", cut["flags"]["mean"]


def row_of(name: str, cut: dict) -> dict:
    """A cut as a row of a table."""
    figures = [
        {
            "value": value_of(figure),
            "ci95": figure["ci95"],
            "chance": figure["chance"],
            "share": statistic in SHARES,
        }
        for statistic, figure in figures_of(cut)
    ]
    return {"name": name, "tasks": cut["tasks"], "figures": figures}


def flag_labels() -> dict[str, str]:
    """What each flag is called, as `Flags.names` names it, in the reader's language."""
    found = {}
    for definition in FormVersion.objects.order_by("pk").values_list("definition", flat=True):
        for part, before in (("completion", ""), ("prompt", "prompt:")):
            for field in definition[part]:
                if field["kind"] == "flag":
                    found[before + field["name"]] = in_language(field["label"])
    return found


# Drawing


def _entry(name: str, figure: dict) -> tuple:
    return (name, value_of(figure), *figure["ci95"])


def draw(content: dict) -> dict[str, Plot]:
    """The plots of the page, by the name that their CSV has in the address."""
    chance = (_("chance"), 0.5)
    main = [(name, cut) for key, name, cut in cuts(content) if not key.startswith(("use_case:", "week:"))]
    use_cases = [(name, cut) for key, name, cut in cuts(content) if key.startswith("use_case:")]
    statistics = words()
    shown = {
        "label": _("Whose"),
        "value": statistics["pairwise"],
        "reference": chance,
        "percent": True,
        "limits": (None, 1.005),
    }
    found = {
        "cuts": plots.intervals(
            _("Who agrees with whom"),
            [_entry(name, cut["pairwise"]) for name, cut in main],
            more=_counts(main),
            **shown,
        ),
        "statistics": plots.intervals(
            _("The same by other measures"),
            [_entry(statistics[name], figure) for name, figure in figures_of(content) if name not in SHARES],
            label=_("Measure"),
            value=_("Value"),
            reference=(_("chance"), 0.0),
        ),
        "weeks": plots.line(
            _("Agreement by week"),
            {
                statistics["pairwise"]: [
                    (date.fromisoformat(week), *_entry("", cut["pairwise"])[1:])
                    for week, cut in sorted(content["weeks"].items())
                    if cut["pairwise"]["rate"] is not None
                ]
            },
            x=_("Week from"),
            y=statistics["pairwise"],
            reference=chance,
            limits=(None, 1.005),
            percent=True,
        ),
        "use-cases": plots.intervals(
            _("Agreement by use case"),
            [_entry(name, cut["pairwise"]) for name, cut in use_cases],
            more=_counts(use_cases),
            **{**shown, "label": _("Use case")},
        ),
    }
    if flags := content["flags"]["by_flag"]:
        labels = flag_labels()
        flags = dict(sorted(flags.items(), key=lambda flag: labels.get(flag[0], flag[0])))
        found["flags"] = plots.intervals(
            _("κ of each flag"),
            [_entry(labels.get(name, name), figure) for name, figure in flags.items()],
            label=_("Flag"),
            value="κ",
            reference=(_("chance"), 0.0),
            more={
                _("Share set"): [figure["set"] for figure in flags.values()],
                _("Agree"): [figure["agree"] for figure in flags.values()],
                _("Agree by chance"): [figure["agree_chance"] for figure in flags.values()],
                _("Pairs"): [figure["pairs"] for figure in flags.values()],
            },
        )
    if people := content["by_labeler"]:
        named = {person.pk: person.name for person in User.objects.filter(pk__in=[row["labeler"] for row in people])}
        people = sorted(people, key=lambda row: -(row["others"]["pairwise"]["rate"] or 0))
        entries = [(named.get(row["labeler"], str(row["labeler"])), row) for row in people]
        found["labelers"] = plots.intervals(
            _("Each labeler with the others"),
            [_entry(name, row["others"]["pairwise"]) for name, row in entries],
            more={
                **_counts([(name, row["others"]) for name, row in entries]),
                _("With researchers"): [row["researchers"]["pairwise"]["rate"] for _name, row in entries],
            },
            **{**shown, "label": _("Labeler")},
        )
    return found


def _counts(named: list[tuple[str, dict]]) -> dict[str, list]:
    return {
        _("Pairs"): [cut["pairwise"]["pairs"] for _name, cut in named],
        _("Tasks"): [cut["tasks"] for _name, cut in named],
    }


report_kind(KIND, Kind(make=make, draw=draw, changed=changed, is_small=is_small))
