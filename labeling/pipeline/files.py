"""What a run folder says, read for people who watch it: bounded memory however long the run, broken lines left out."""

from __future__ import annotations

import json
import re
from collections import deque
from pathlib import Path
from typing import Any

WHOLE = 2 * 2**20  # bytes of a log that are still read whole
SPREAD = 600  # lines read of a longer one, spread evenly over it
# Escape sequences of terminals, and control characters but for tab and line end.
UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def json_lines(path: Path) -> list[dict]:
    """Objects of a JSON-lines file in order: all of a short one, evenly spread ones and the newest of a long one."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return []
    with path.open("rb") as file:
        if size <= WHOLE:
            return [row for row in map(_object, file) if row is not None]
        rows = []
        for number in range(SPREAD):
            file.seek(size * number // SPREAD)
            if number:
                file.readline(WHOLE)  # the rest of the line we fell into
            rows.append(_object(file.readline(WHOLE)))
    newest = tail_lines(path, limit=50)
    kept = [row for row in rows if row is not None]
    if newest:
        first = newest[0].get("step", 0)
        kept = [row for row in kept if _number(row.get("step")) is not None and row["step"] < first]
    return kept + newest


def tail_lines(path: Path, *, limit: int) -> list[dict]:
    """The last `limit` objects of a JSON-lines file, in order; at most 2 MiB of it are read."""
    lines = tail_bytes(path, WHOLE).split(b"\n")
    rows = (_object(line + b"\n") for line in lines[:-1])  # what follows the last line end is still being written
    return list(deque((row for row in rows if row is not None), maxlen=limit))


def tail_bytes(path: Path, limit: int) -> bytes:
    """The last whole lines of a file, at most `limit` bytes; nothing where there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit))
            if size > limit:
                file.readline(limit)
            return file.read(limit)
    except FileNotFoundError:
        return b""


def log_tail(path: Path, *, limit: int = 16_384) -> str:
    """The end of a trainer's log as plain text: of a line that was drawn over again and again, its last state."""
    text = tail_bytes(path, limit).decode("utf-8", "replace")
    lines = (line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
    return UNPRINTABLE.sub("", "\n".join(lines))


def series(rows: list[dict], *, limit: int = 300) -> dict[str, list[tuple[float, float]]]:
    """(step, value) by metric, at most about `limit` points each: means over stretches of steps, the newest kept."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        step = _number(row.get("step"))
        if step is None:
            continue
        for name, value in row.items():
            number = _number(value)
            if name not in ("step", "time") and number is not None:
                found.setdefault(name, []).append((step, number))
    return {name: thin(points, limit=limit) for name, points in found.items()}


def thin(points: list[tuple[float, float]], *, limit: int) -> list[tuple[float, float]]:
    """At most `limit` + 1 points: the mean of each stretch of neighbours, then the last point as it is."""
    if len(points) <= limit:
        return points
    width = -(-len(points) // limit)
    means = []
    for start in range(0, len(points), width):
        part = points[start : start + width]
        means.append((sum(step for step, _ in part) / len(part), sum(value for _, value in part) / len(part)))
    return [*means, points[-1]]


def read_object(path: Path) -> dict:
    """A run folder's .json file; empty where it is missing or unreadable."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _object(line: bytes) -> dict | None:
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
