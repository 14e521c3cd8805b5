"""The pipeline over all recognisers, and its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from labeling.governance.personal_data.patterns import RECOGNISERS, plain_of
from labeling.governance.personal_data.spans import Span, without_overlaps

NAME = "kwise-personal-data"
VERSION = "2"
HOLD_AT = 0.5
# Whose tables and rules decide what is found: another release may find something else.
RELIES_ON = ("phonenumbers",)


@dataclass(frozen=True)
class Detector:
    """What looked for personal data. Two that are equal find the same in every text.

    `configuration` is the SHA-256 (hex) of the rules, the lists, the settings and the releases of what they rely on.
    """

    name: str
    version: str
    configuration: str

    def as_json(self) -> dict[str, str]:
        """For manifests and answers: {"name", "version", "configuration"}."""
        return asdict(self)


@cache
def detector() -> Detector:
    """The detector that this process runs. A change of any rule changes its `configuration`."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted(path for path in here.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        digest.update(f"{path.relative_to(here).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for name in RELIES_ON:
        digest.update(f"{name}=={metadata.version(name)}\0".encode())
    return Detector(NAME, VERSION, digest.hexdigest())


def find(text: str) -> list[Span]:
    """The spans of personal data in `text`, in its order, none overlapping: the surer one wins, then the longer."""
    plain = plain_of(text)
    return without_overlaps([span for recogniser in RECOGNISERS for span in recogniser(plain)], len(plain))


def find_many(texts: Iterable[str]) -> Iterator[list[Span]]:
    """`find` of each text, in order; reads `texts` as they are needed, a batch at a time."""
    yield from map(find, texts)
