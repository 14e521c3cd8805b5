"""The questionnaires that every installation has: what Ouyang et al. 2022 asked their labelers, in words of our own.

A questionnaire that is to ask something else gets the next number here. Rounds keep the version they were opened with.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop as _

from labeling.surveys.countries import countries

UNSAID = "unsaid"
SCALE = (
    ("strongly_agree", _("I strongly agree")),
    ("agree", _("I agree")),
    ("neither", _("I neither agree nor disagree")),
    ("disagree", _("I disagree")),
    ("strongly_disagree", _("I strongly disagree")),
)


def _question(name: str, kind: str, label: str, options: Any) -> dict[str, Any]:
    """`kind` is "scale" (the five steps of SCALE), "choice" (one of the options) or "several" (any of them)."""
    listed = [list(option) for option in (*options, (UNSAID, _("Prefer not to say")))]
    return {"name": name, "kind": kind, "label": label, "options": listed}


# name → (title, what it is for, its versions, oldest first). A version's `compared_days` says for how long its answers
# are expected to stay the same, so that two rounds could be subtracted: None for good.
BUILT_IN: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    # Appendix B.4, Table 13.
    "satisfaction": (
        _("Satisfaction"),
        _("How people find the work: five statements to agree or disagree with."),
        [
            {
                "compared_days": 28,
                "questions": [
                    _question("clear", "scale", _("The instructions told me clearly what to do."), SCALE),
                    _question("enjoyed", "scale", _("I enjoyed the work; it held my interest."), SCALE),
                    _question("repetitive", "scale", _("The work repeated itself."), SCALE),
                    _question("paid_fairly", "scale", _("The pay for the work was fair."), SCALE),
                    _question("glad", "scale", _("All in all, I am glad to have done it."), SCALE),
                ],
            }
        ],
    ),
    # Appendix B.3, Table 12.
    "demographics": (
        _("Demographics"),
        _("Who the team is: gender, ethnicity, nationality, age and education."),
        [
            {
                "compared_days": None,
                "questions": [
                    _question(
                        "gender",
                        "choice",
                        _("Which gender are you?"),
                        [
                            ("woman", _("Woman")),
                            ("man", _("Man")),
                            ("another", _("Non-binary, or another gender")),
                        ],
                    ),
                    _question(
                        "ethnicity",
                        "several",
                        _("Which ethnicities do you count yourself among? Tick all that fit."),
                        [
                            ("black", _("Black, of African descent")),
                            ("east_asian", _("East Asian")),
                            ("indigenous", _("Indigenous")),
                            ("latin", _("Latin American")),
                            ("middle_eastern", _("Middle Eastern or North African")),
                            ("pacific", _("Pacific Islander")),
                            ("south_asian", _("South Asian")),
                            ("southeast_asian", _("Southeast Asian")),
                            ("white", _("White, of European descent")),
                            ("another", _("Another ethnicity")),
                        ],
                    ),
                    _question(
                        "nationality",
                        "choice",
                        _("What is your nationality? Of several, choose the one that says most about you."),
                        [*countries(), ("another", _("Another, or none"))],
                    ),
                    _question(
                        "age",
                        "choice",
                        _("How old are you?"),
                        [
                            ("18_24", _("18 to 24")),
                            ("25_34", _("25 to 34")),
                            ("35_44", _("35 to 44")),
                            ("45_54", _("45 to 54")),
                            ("55_64", _("55 to 64")),
                            ("65", _("65 or older")),
                        ],
                    ),
                    _question(
                        "education",
                        "choice",
                        _("What is the highest education that you have completed?"),
                        [
                            ("less", _("Less than secondary school")),
                            ("school", _("Secondary school, or a trade")),
                            ("undergraduate", _("A first university degree")),
                            ("master", _("A master's degree")),
                            ("doctorate", _("A doctorate")),
                        ],
                    ),
                ],
            }
        ],
    ),
}
