"""The commands of the task pages and their keys. `static/js/keys.js` has the same table. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from labeling.refusals import Refusal

# command → (its usual key, what it does)
COMMANDS = {
    "by_ratings": ("b", _("order by my ratings")),
    "undo": ("u", _("take the last step back")),
    "step": ("r", _("change between rating and ranking")),
    "skip": ("s", _("skip this task")),
    "compare": ("c", _("two side by side")),
    "note": ("n", _("write a note")),
    "guidelines": ("g", _("the guidelines")),
    "question": ("q", _("ask a question about this task")),
    "flag": ("p", _("somebody’s personal data is in the prompt")),
    "prompt": ("t", _("what is true of the prompt")),
    "all_bad": ("w", _("all are bad")),
    "cannot_rank": ("y", _("cannot be ranked")),
    "same": ("z", _("these two are the same")),
    "preview": ("F9", _("how the text will look, and back to writing")),
    "suggest": ("F8", _("ask a model for a text to begin from; stop it")),
    "use_suggestion": ("F4", _("take the suggestion over")),
    "keys": ("?", _("show the keys")),
}
# Function keys that browsers leave to pages.
NAMED = ("F2", "F4", "F8", "F9", "F10")


def keys_in_use(own: Mapping[str, str]) -> dict[str, str]:
    """Each command's key, "" for none, for somebody who chose `own`, as `read_keys` gave it.

    A chosen key is taken from the command whose usual key it is: one that came later than the choice.
    """
    chosen = set(own.values())
    return {
        command: own.get(command, "" if usual in chosen else usual) for command, (usual, _label) in COMMANDS.items()
    }


def read_keys(chosen: Mapping[str, str]) -> dict[str, str]:
    """Of `chosen` (command → key, "" for none) what differs from the usual. Refusal for keys that cannot be.

    Digits rate and rank, so they stay as they are. No two commands may share a key.
    """
    unknown = set(chosen) - set(COMMANDS)
    if unknown:
        raise Refusal(
            _("There is no command {unknown!r}; they are {commands}.").format(
                unknown=sorted(unknown)[0][:40], commands=", ".join(COMMANDS)
            )
        )
    keys = {command: _read_key(chosen.get(command, usual), command) for command, (usual, _label) in COMMANDS.items()}
    owners: dict[str, str] = {}
    for command, key in keys.items():
        if key and key in owners:
            raise Refusal(
                _("{key!r} is the key of two commands: {owners} and {command}. Give one of them another.").format(
                    key=key, owners=owners[key], command=command
                )
            )
        owners[key] = command
    return {command: key for command, key in keys.items() if key != COMMANDS[command][0]}


def _read_key(key: str, command: str) -> str:
    key = key.strip()
    if key.upper() in NAMED:
        return key.upper()
    key = key.lower()
    if key and (len(key) > 1 or not (key.isascii() and key.isprintable()) or key.isdigit()):
        raise Refusal(
            _(
                "{key!r} cannot be the key of {command}: type one letter or sign that is no digit, or one of "
                "{named}, or nothing."
            ).format(key=key[:20], command=command, named=", ".join(NAMED))
        )
    return key
