"""The personal-data detector: which characters of a text say who or where somebody is, or open somebody's account.

`find(text)` gives exact spans, `find_many(texts)` the same for many, faster. `detector()` names what looked: findings
and manifests carry it, and a prompt is scanned again when it has changed. A span of at least HOLD_AT is taken for
personal data; what lies below is a hint for people.

Nothing here needs the network, and every pattern is bounded, so that the time grows with the length of the text.
"""

from __future__ import annotations

from labeling.governance.personal_data.detector import (
    HOLD_AT,
    VERSION,
    Detector,
    detector,
    find,
    find_many,
)
from labeling.governance.personal_data.kinds import KINDS
from labeling.governance.personal_data.spans import Span

__all__ = ["HOLD_AT", "KINDS", "VERSION", "Detector", "Span", "detector", "find", "find_many", "scan"]

scan = find
