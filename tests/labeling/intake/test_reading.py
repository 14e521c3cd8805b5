"""Files of every kind, whole and broken: a bad line is named, the rest is read."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from labeling.intake import reading
from labeling.intake.reading import Problem, UnknownFormat, Unreadable, count_rows, format_of, read_rows


def read(path: Path, data: bytes) -> list:
    path.write_bytes(data)
    return list(read_rows(path))


def reasons(rows: list) -> list:
    return [(line, row.reason if isinstance(row, Problem) else "read") for line, row in rows]


@pytest.fixture
def jsonl(tmp_path):
    return lambda data: read(tmp_path / "a.jsonl", data)


@pytest.fixture
def csv(tmp_path):
    return lambda data: read(tmp_path / "a.csv", data)


def test_jsonl_names_bad_lines_and_reads_the_rest(jsonl):
    lines = [
        b'{"prompt": "one"}',
        b"{broken",
        b"",
        b'["a list"]',
        b'{"prompt": "caf\xe9"}',
        b'{"prompt": "a\\u0000b"}',
        b'{"prompt": "a\\ud800b"}',
        b'{"prompt": NaN}',
        b'{"prompt": ' + b"[" * 100_000,
        b'{"user_id": ' + b"9" * 10_000 + b"}",
        b'{"user_id": 18446744073709551616}',
        b'{"prompt": "last"}',
    ]
    assert reasons(jsonl(b"\n".join(lines))) == [
        (1, "read"),
        (2, "not_json"),
        (4, "not_an_object"),
        (5, "not_utf8"),
        (6, "bad_text"),
        (7, "bad_text"),
        (8, "not_json"),
        (9, "not_json"),
        (10, "not_json"),
        (11, "not_json"),
        (12, "read"),
    ]


def test_jsonl_with_bom_and_crlf(jsonl):
    assert jsonl(b'\xef\xbb\xbf{"prompt":"a\\r\\nb"}\r\n{"prompt":"c"}\r\n') == [
        (1, {"prompt": "a\r\nb"}),
        (2, {"prompt": "c"}),
    ]


def test_jsonl_lines_end_at_line_feeds_alone(jsonl):
    text = "a\u2028b\u0085c\x0bd"
    assert jsonl(json.dumps({"prompt": text}, ensure_ascii=False).replace("\x0b", "\\u000b").encode()) == [
        (1, {"prompt": text})
    ]


def test_overlong_line_is_read_past(jsonl, monkeypatch):
    monkeypatch.setattr(reading, "MAX_LINE", 2**16)
    long = b'{"prompt": "' + b"x" * 2**18 + b'"}'
    assert reasons(jsonl(long + b'\n{"prompt": "b"}\n')) == [(1, "too_long"), (2, "read")]


def test_zipped_jsonl_and_one_that_breaks_off(tmp_path):
    whole = gzip.compress(b"".join(b'{"prompt": "%d"}\n' % n for n in range(5_000)))
    assert len(read(tmp_path / "a.jsonl.gz", whole)) == 5_000
    broken = reasons(read(tmp_path / "b.jsonl.gz", whole[: len(whole) // 2]))
    assert broken[0] == (1, "read") and broken[-1][1] == "unreadable"
    with pytest.raises(Unreadable):
        read(tmp_path / "c.jsonl.gz", b"not zipped at all")


def test_csv_keeps_what_quotes_hold(csv):
    data = b'\xef\xbb\xbfprompt,user_id,external_id,other\r\n"a, ""b""\r\nc",u1,7,x\r\n  d  ,,,\r\n'
    assert csv(data) == [
        (2, {"prompt": 'a, "b"\r\nc', "user_id": "u1", "external_id": "7"}),
        (4, {"prompt": "  d  "}),
    ]


def test_csv_names_bad_rows(csv):
    data = b'prompt,user_id\na,u,too,many\ncaf\xe9,u\nd\n\n"messages later",v\n'
    rows = csv(data)
    assert reasons(rows) == [(2, "not_csv"), (3, "not_utf8"), (4, "read"), (6, "read")]


def test_csv_messages_are_json(csv):
    rows = csv(b'messages\n"[{""role"": ""user"", ""content"": ""hi""}]"\n"[oops"\n')
    assert rows[0] == (2, {"messages": [{"role": "user", "content": "hi"}]})
    assert rows[1][1].reason == "not_json"


def test_csv_quote_never_closed_is_named(csv, monkeypatch):
    monkeypatch.setattr(reading, "MAX_LINE", 2**16)
    rows = csv(b'prompt,user_id\na,u\n"b,u\n' + b"x,u\n" * (2**14 + 10))
    assert reasons(rows)[:2] == [(2, "read"), (3, "not_csv")]


def test_csv_without_a_known_column_is_unreadable(csv):
    for data in (b"question,answer\na,b\n", b""):
        with pytest.raises(Unreadable, match="no column"):
            csv(data)


def test_tsv_splits_at_tabs(tmp_path):
    assert read(tmp_path / "a.tsv", b"prompt\tuser_id\na, b\tu\n") == [(2, {"prompt": "a, b", "user_id": "u"})]


def write_parquet(path: Path, columns: dict) -> None:
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def test_parquet_streams_rows_with_messages_and_nulls(tmp_path):
    path = tmp_path / "a.parquet"
    messages = [[{"role": "user", "content": "hi"}], None] * 300
    write_parquet(path, {"messages": messages, "prompt": [None, "x"] * 300, "user_id": [1, 2] * 300, "z": [0] * 600})
    rows = list(read_rows(path))
    assert len(rows) == count_rows(path) == 600
    assert rows[0] == (1, {"messages": [{"role": "user", "content": "hi"}], "user_id": 1})
    assert rows[599] == (600, {"prompt": "x", "user_id": 2})


def test_parquet_with_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "a.parquet"
    write_parquet(path, {"prompt": pyarrow.array([b"caf\xe9", "café".encode()])})
    assert reasons(list(read_rows(path))) == [(1, "not_utf8"), (2, "read")]


def test_parquet_that_is_none_is_unreadable(tmp_path):
    path = tmp_path / "a.parquet"
    for data in (b"", b"PAR1", b"PAR1" + b"x" * 100 + b"PAR1"):
        with pytest.raises(Unreadable):
            read(path, data)
    write_parquet(path, {"question": ["a"]})
    with pytest.raises(Unreadable, match="no column"):
        list(read_rows(path))


def test_kind_of_file_is_told_by_its_name():
    assert [format_of(name) for name in ("a.JSONL", "b.csv.gz", "c.parquet.zst", "d.tsv")] == [
        "jsonl",
        "csv",
        "parquet",
        "tsv",
    ]
    for name in ("a.xlsx", "", "jsonl", "a.docx.gz", "a.parquet.zip"):
        with pytest.raises(UnknownFormat):
            format_of(name)


def pack(path: Path, ending: str) -> Path:
    packed = path.with_name(path.name + ending)
    if ending == ".gz":
        packed.write_bytes(gzip.compress(path.read_bytes()))
    else:
        with pyarrow.CompressedOutputStream(str(packed), "zstd") as file:
            file.write(path.read_bytes())
    return packed


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_every_kind_is_read_packed_or_not_and_from_any_line(tmp_path, kind, ending):
    path, texts = tmp_path / f"a.{kind}", [f"p{number}\nmore" for number in range(700)]
    if kind == "jsonl":
        path.write_text("".join(f"{json.dumps({'prompt': text})}\n" for text in texts))
    elif kind == "csv":
        path.write_text("prompt\n" + "".join(f'"{text}"\n' for text in texts))
    else:
        table = pyarrow.table({"prompt": texts})
        pyarrow.parquet.write_table(table, path, row_group_size=300)
    path = pack(path, ending) if ending else path
    rows = list(read_rows(path))
    assert [row["prompt"] for _line, row in rows] == texts
    assert count_rows(path) == (700 if kind != "csv" else 1401)
    for behind in (0, rows[0][0], rows[350][0], rows[650][0], rows[-1][0]):
        assert list(read_rows(path, behind=behind)) == [each for each in rows if each[0] > behind]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_packed_file_that_breaks_off_keeps_what_came_before(tmp_path, ending):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"prompt": os.urandom(2000).hex()}) + "\n" for _ in range(2000)))
    whole = pack(path, ending)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    rows = list(read_rows(whole))
    assert len(rows) > 100 and rows[-1][1].reason == "unreadable"
    assert all(isinstance(row, dict) for _line, row in rows[:-1])
    with pytest.raises(Unreadable):
        (tmp_path / f"b.jsonl{ending}").write_bytes(b"no such thing")
        list(read_rows(tmp_path / f"b.jsonl{ending}"))
