"""Which language a text is in, by py3langid: its model lies in the package, as arrays; nothing is fetched or unpickled.

Lui and Baldwin (2012), "langid.py: An off-the-shelf language identification tool". Loading takes seconds, so only
workers do it.
"""

from __future__ import annotations

import importlib.metadata
from functools import cache

UNKNOWN = "und"  # ISO 639-2: undetermined
# A guess that is less likely says nothing: a word or two, numbers, code.
LEAST = 0.5
LETTERS = 3
CHARACTERS = 2000
# Those that prompts are likely to be in. Languages that few write are guessed too often among 140.
LANGUAGES = (
    *("ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "gu", "he", "hi", "hr", "hu"),
    *("id", "is", "it", "ja", "ko", "lt", "lv", "mk", "ml", "mr", "ms", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl"),
    *("sq", "sv", "sw", "ta", "te", "th", "tr", "uk", "ur", "vi", "zh"),
)


def detector() -> str:
    """Name, release and the way it is asked: another one's words are made anew."""
    return f"py3langid {importlib.metadata.version('py3langid')} {len(LANGUAGES)} languages 1"


@cache
def _identifier():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    made = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    made.set_languages(list(LANGUAGES))
    return made


def detect(text: str) -> tuple[str, float]:
    """(code, probability of the best guess); UNKNOWN where the text says too little."""
    text = text[:CHARACTERS]
    code, likely = _identifier().classify(text)
    likely = min(1.0, max(float(likely), 1e-9))
    if likely < LEAST or sum(letter.isalpha() for letter in text) < LETTERS:
        return UNKNOWN, likely
    return code, likely
