"""The server and the browser know the same commands by the same keys."""

import re
from pathlib import Path

from labeling.people.keys import COMMANDS


def test_browser_and_server_have_the_same_usual_keys():
    script = (Path(__file__).parents[3] / "static/js/keys.js").read_text()
    table = re.search(r"export const COMMANDS = \{(.*?)\};", script, re.DOTALL)[1]
    known = dict(re.findall(r'^\s*(\w+): "(.+)",$', table, re.MULTILINE))
    assert len(known) == table.count(":"), "a line of the table was not read"
    assert known == {command: usual for command, (usual, _label) in COMMANDS.items()}
