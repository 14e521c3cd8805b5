"""Names of models and their makers in a text. Pure: terms and text in, spans out.

Compared is what remains of a text after NFKC and casefold, so that width, case and ligatures do not hide a name; each
run of white space, hyphens and underscores counts as one space, and characters without any width count as nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

# Scripts that are written without spaces, or join their particles to a foreign word: a name may stand right beside
# them, as in 我是ChatGPT or ChatGPT는.
JOINED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
WORD = rf"[^\W{JOINED}]"
# Pieces of a model's file name that name nobody: models that were trained here are called by their algorithm.
NAMELESS = frozenset(
    ("base", "chat", "demo", "dpo", "fine", "finetuned", "hf", "instruct", "it", "large", "llm", "local", "model", "my")
    + ("new", "old", "policy", "ppo", "reward", "rm", "sft", "small", "test", "the", "tiny", "tuned", "v1", "v2")
)
SHORTEST_FAMILY = 3


@dataclass(frozen=True)
class Name:
    """A name at `start` up to `end`, in Unicode code points of the text as it is stored."""

    term: str
    start: int
    end: int


def normal(term: str) -> str:
    """The form in which two terms are the same."""
    return _squeezed(_fold(term)[0])


def _squeezed(folded: str) -> str:
    return re.sub(" +", " ", folded).strip()


def _fold(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text as it is compared, and for each of its characters where in `text` it comes from."""
    folded, places = [], []
    start, length = 0, len(text)
    while start < length:
        end = start + 1
        # A letter and the accents behind it are one: they may be stored as one character or as several.
        while end < length and unicodedata.combining(text[end]):
            end += 1
        for character in _folded_cluster(text[start:end]):
            folded.append(character)
            places.append((start, end))
        start = end
    return "".join(folded), places


def _folded_cluster(cluster: str) -> str:
    if cluster.isascii():
        folded = cluster.lower()
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cluster).casefold())
    return "".join(_plain(character) for character in folded)


def _plain(character: str) -> str:
    if character.isspace() or character in "-_" or unicodedata.category(character) == "Pd":
        return " "
    if character == "\u2019":  # I’m as people type it, and as programs do
        return "'"
    return "" if unicodedata.category(character) == "Cf" else character


class Finder:
    """Finds any of `terms`, each a whole word; of names that overlap the first, and of those the longest."""

    def __init__(self, terms: Iterable[str]) -> None:
        self.terms = {key: term for term in terms if (key := normal(term))}
        longest_first = sorted(self.terms, key=len, reverse=True)
        either = "|".join(re.escape(key).replace(r"\ ", " +") for key in longest_first)
        self.longest = len(longest_first[0]) if longest_first else 0
        self.pattern = re.compile(rf"(?<!{WORD})(?:{either})(?!{WORD})") if longest_first else None

    def find(self, text: str) -> list[Name]:
        if self.pattern is None:
            return []
        folded, places = _fold(text)
        return [
            Name(self.terms[_squeezed(match[0])], places[match.start()][0], places[match.end() - 1][1])
            for match in self.pattern.finditer(folded)
        ]

    def open_from(self, text: str) -> int:
        """Where the end of a text that still grows may come to be a name, or the longer one of two; its length where it
        cannot. What stands before is final, as far as names go."""
        folded, places = _fold(text)
        one_space = [at for at, sign in enumerate(folded) if sign != " " or not at or folded[at - 1] != " "]
        squeezed = "".join(folded[at] for at in one_space)
        for start in range(max(0, len(squeezed) - self.longest), len(squeezed)):
            begins = squeezed[start] != " " and not (start and re.match(WORD, squeezed[start - 1]))
            if begins and any(term.startswith(squeezed[start:]) for term in self.terms):
                return places[one_space[start]][0]
        return len(text)


def names_of_model(model: str) -> list[str]:
    """What a model would call itself: the last piece of its path, the family it begins with, and that without number.

    HuggingFaceTB/SmolLM2-135M-Instruct is called SmolLM2-135M-Instruct, SmolLM2 and SmolLM.
    """
    last = model.rstrip("/").rsplit("/", 1)[-1].strip()
    family = re.split(r"[-_:@\s]", last, maxsplit=1)[0]
    bare = family.rstrip("0123456789.")
    called = [name for name in (family, bare) if len(name) >= SHORTEST_FAMILY and name.casefold() not in NAMELESS]
    whole = [last] if last.casefold() not in NAMELESS else []
    return [name for name in dict.fromkeys(whole + called) if normal(name)]


# What is looked for from the start. Names that are words too (a claude, a llama, the bard, the mistral) only count
# where somebody introduces themselves by them.
INTRODUCED = ("Claude", "Gemini", "Bard", "LLaMA", "Alpaca", "Vicuna", "Mistral", "Grok", "Copilot", "Falcon", "Koala")
INTRODUCTIONS = ("I am", "I'm", "my name is", "as an AI named", "an AI called")
UNMISTAKABLE = (
    *("OpenAI", "ChatGPT", "Chat GPT", "InstructGPT", "GPT-2", "GPT-3", "GPT3", "GPT-3.5", "GPT-4", "GPT4", "GPT-4o"),
    *("GPT-5", "GPT-J", "GPT-NeoX", "text-davinci-002", "text-davinci-003", "Anthropic", "as Claude", "DeepMind"),
    *("Google DeepMind", "Google Bard", "Google Gemini", "Meta AI", "Llama 2", "Llama 3", "Mistral AI", "Mixtral"),
    *("Qwen", "Qwen2", "Qwen2.5", "Qwen3", "Tongyi Qianwen", "通义千问", "Alibaba Cloud", "DeepSeek", "SmolLM"),
    *("SmolLM2", "SmolLM3", "Hugging Face", "HuggingFace", "HuggingFaceTB", "EleutherAI", "OpenAssistant", "ChatGLM"),
    *("WizardLM", "StableLM", "Microsoft Copilot", "developed by xAI", "created by xAI"),
)
BUILT_IN = (*UNMISTAKABLE, *(f"{words} {name}" for name in INTRODUCED for words in INTRODUCTIONS))
