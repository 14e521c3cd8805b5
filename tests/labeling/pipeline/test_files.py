"""Run folders as they are found: half written, broken, huge."""

import json

from labeling.pipeline import files


def test_broken_and_unfinished_lines_are_left_out(tmp_path):
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(b'{"step":1,"loss":2.0}\nnot json\n[1]\n{"step":2,"loss":null}\n{"step":3,"lo')
    assert files.json_lines(log) == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}]
    assert files.tail_lines(log, limit=1) == [{"step": 2, "loss": None}]
    assert files.json_lines(tmp_path / "missing") == files.tail_lines(tmp_path / "missing", limit=5) == []


def test_long_log_is_read_in_parts_and_keeps_its_ends(tmp_path):
    log = tmp_path / "metrics.jsonl"
    with log.open("w") as file:
        for step in range(100_000):
            file.write(json.dumps({"step": step, "loss": 1.0 / (step + 1), "padding": "x" * 20}) + "\n")
    assert log.stat().st_size > files.WHOLE
    rows = files.json_lines(log)
    assert len(rows) <= files.SPREAD + 50
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, 99_999)
    points = files.series(rows)["loss"]
    assert len(points) <= 301
    assert points[-1] == (99_999, 1.0 / 100_000)


def test_thinned_points_are_means_of_their_neighbours():
    assert files.thin([(0, 0.0), (1, 2.0), (2, 4.0), (3, 6.0)], limit=2) == [(0.5, 1.0), (2.5, 5.0), (3, 6.0)]
    assert files.thin([(0, 1.0)], limit=2) == [(0, 1.0)]


def test_log_shows_the_last_state_of_a_redrawn_line_and_no_control_characters(tmp_path):
    log = tmp_path / "log.txt"
    log.write_bytes(b"first\r 10%\r 20%\n\x1b[31mred\x1b[0m \x00\xff end\n")
    assert files.log_tail(log) == " 20%\nred \ufffd end\n"


def test_log_tail_starts_at_a_line(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))
    tail = files.log_tail(log)
    assert len(tail) <= 16_384
    assert tail.startswith("line ")
    assert tail.endswith("line 9999\n")
