"""The German catalog, and what the sources want of it. Without gettext, which not every machine has."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[2]
PO = ROOT / "locale" / "de" / "LC_MESSAGES" / "django.po"
MO = PO.with_suffix(".mo")
FUNCTIONS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}

TEXT = r"""u?"(?:[^"\\]|\\.)*"|u?'(?:[^'\\]|\\.)*'"""
CALL = re.compile(rf"\b(n?p?gettext|_)\(((?:{TEXT}|[^()\"'])*)\)")


@dataclass
class Entry:
    """A message with its translations: one, or one for each plural form."""

    key: str = ""  # as a .mo has it: the context before, where there is one
    plural: str = ""
    translations: list[str] = field(default_factory=list)
    fuzzy: bool = False


def entries() -> list[Entry]:
    """Those of the .po, less its head. It is written with --no-wrap: a message is a line, or lines in quotes."""
    found, entry, context, place = [], Entry(), "", ""
    for line in [*PO.read_text(encoding="utf-8").splitlines(), ""]:
        if not line:
            if entry.key:
                found.append(entry)
            entry, context = Entry(), ""
        elif line.startswith("#"):
            entry.fuzzy = entry.fuzzy or (line.startswith("#,") and "fuzzy" in line)
        else:
            word, _space, text = line.partition(" ") if not line.startswith('"') else (place, "", line)
            text, again, place = ast.literal_eval(text), line.startswith('"'), word
            if word == "msgctxt":
                context = text + "\x04"
            elif word == "msgid":
                entry.key = entry.key + text if again else context + text
            elif word == "msgid_plural":
                entry.plural += text
            elif again:
                entry.translations[-1] += text
            else:
                entry.translations.append(text)
    return found


def compiled() -> dict[str, list[str]]:
    """key → its translations, of the .mo that is served."""
    with MO.open("rb") as file:
        catalog = gettext.GNUTranslations(file)._catalog
    read: dict[str, list[str]] = {}
    for key, text in catalog.items():
        read.setdefault(key[0] if isinstance(key, tuple) else key, []).append(text)
    return {key: texts for key, texts in read.items() if key}


def sources(folder: str, ending: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / folder).rglob(f"*{ending}")):
        yield path, path.read_text(encoding="utf-8")


def wanted() -> dict[str, str]:
    """Each message that templates and code translate → a file that has it."""
    found: dict[str, str] = {}
    for path, text in sources("templates", ".html"):
        # Blanked-out HTML around calls of gettext.
        for call in CALL.findall(templatize(text)):
            _note(found, path, *call)
    for folder in ("labeling", "config"):
        for path, text in sources(folder, ".py"):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in FUNCTIONS and node.args:
                    _note(found, path, node.func.id, ast.unparse(ast.Tuple(node.args, ast.Load()))[1:-1])
    return found


def _note(found: dict[str, str], path: Path, function: str, arguments: str) -> None:
    try:
        texts = [text for text in ast.literal_eval(f"[{arguments}]") if isinstance(text, str)]
    except (ValueError, SyntaxError):
        # Not literals alone: the count of a plural, or a variable, whose words stand elsewhere.
        texts = []
        for literal in re.findall(rf"^\s*({TEXT})", arguments):
            texts.append(ast.literal_eval(literal))
    if texts:
        key = "\x04".join(texts[:2]) if function.startswith(("pgettext", "npgettext")) else texts[0]
        found.setdefault(key, str(path.relative_to(ROOT)))
