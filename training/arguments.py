"""Arguments of a trainer from its dataclass, a preset file and the command line, in this order of precedence."""

from __future__ import annotations

import argparse
import tomllib
import types
import typing
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from typing import Any

from training.formats import FormatError, RunFolder
from training.runs import UsageError

RECIPES = Path(__file__).parent / "recipes"


def arg(default: Any, help: str) -> Any:
    """A dataclass field with its help text, which names the unit."""
    return field(default=default, metadata={"help": help})


def required(help: str) -> Any:
    return field(metadata={"help": help})


def type_of(one: Field, hints: dict[str, Any]) -> type:
    """int, float, str or bool, also of an optional one."""
    hint = hints[one.name]
    if isinstance(hint, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def parser_for(kind: type, algorithm: str, description: str) -> argparse.ArgumentParser:
    """A parser with a flag for each field; flags that are not given leave no trace in the result."""
    parser = argparse.ArgumentParser(
        prog=f"python -m training {algorithm}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    names = ", ".join(sorted(path.stem for path in RECIPES.glob("*.toml")))
    parser.add_argument("--preset", default="", help=f"recipe to start from: {names}, or the path of a TOML file")
    parser.add_argument("--resume", action="store_true", default=False, help="go on with the run in --out")
    hints = typing.get_type_hints(kind)
    for one in fields(kind):
        flag, text = f"--{one.name.replace('_', '-')}", one.metadata["help"].replace("%", "%%")
        default = "" if one.default is MISSING else f" (default {one.default})"
        if type_of(one, hints) is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=text + default)
        else:
            parser.add_argument(flag, type=type_of(one, hints), help=text + default, metavar=one.name.upper())
    return parser


def read_preset(name: str, algorithm: str) -> dict[str, Any]:
    """The algorithm's table of a recipe file; UsageError where there is none."""
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    try:
        recipe = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(path.stem for path in RECIPES.glob("*.toml")))
        raise UsageError(f"no preset {name!r}; there are {known}, or give the path of a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    if algorithm not in recipe:
        raise UsageError(f"{path} has no [{algorithm}] table")
    return recipe[algorithm]


def build(kind: type, algorithm: str, given: dict[str, Any], *, preset: str, resume: bool) -> Any:
    """The arguments of this run: the class's defaults, under the preset's numbers, under what was `given`.

    With `resume` all that is not given comes from the run folder. Raises UsageError for unknown names, wrong types and
    required ones that are missing; the values themselves are judged by `validate()` of the class.
    """
    chosen = {**(read_preset(preset, algorithm) if preset else {}), **given}
    hints = typing.get_type_hints(kind)
    known = {one.name: one for one in fields(kind)}
    for name, value in list(chosen.items()):
        if name not in known:
            raise UsageError(f"preset {preset}: [{algorithm}] has no argument {name!r}")
        wanted = type_of(known[name], hints)
        if wanted is float and type(value) is int:
            chosen[name] = float(value)
        elif type(value) is not wanted and value is not None:
            raise UsageError(f"{name} must be {wanted.__name__}, not {value!r}")
    if resume and "out" in chosen:
        try:
            stored = RunFolder(Path(chosen["out"])).describe().get("args", {})
        except FormatError:
            stored = {}  # killed before it began: begin now
        chosen = {**{name: value for name, value in stored.items() if name in known}, **chosen}
    missing = [name for name, one in known.items() if one.default is MISSING and not chosen.get(name)]
    if missing:
        raise UsageError("missing " + ", ".join(f"--{name.replace('_', '-')}" for name in missing))
    return kind(**chosen)


def check(condition: bool, name: str, value: Any, wanted: str) -> None:
    """UsageError where a value is nonsense, naming the flag, the value and what it may be."""
    if not condition:
        raise UsageError(f"--{name.replace('_', '-')} is {value!r}; it must be {wanted}")
