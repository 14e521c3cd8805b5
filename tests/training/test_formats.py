import hashlib
import json

import pytest

from training.formats import (
    DatasetWriter,
    FormatError,
    RunFolder,
    canonical_json,
    iter_rows,
    kto_rows,
    pairs_of,
    read_manifest,
    verify,
)


def ranking(number: int, ranks=(2, 1, 2)) -> dict:
    return {
        "id": f"r{number}",
        "messages": [{"role": "user", "content": "Why?\u2028 \U0001f600"}],
        "completions": [{"id": f"c{i}", "text": f"Because {i}.", "rank": rank} for i, rank in enumerate(ranks)],
    }


def write(out, rows=3, **question):
    with DatasetWriter(out, kind="comparisons", question=question, formats=["trl"]) as writer:
        for number in range(rows):
            writer.add("valid" if number == 2 else "train", ranking(number))
        return writer.finish(counts={"rows": rows}, exclusions={}, extra={})


@pytest.fixture
def unlocked(tmp_path):
    """A folder whose read-only data sets can be damaged, as a careless hand or disk would."""
    yield tmp_path
    for path in tmp_path.rglob("*"):
        path.chmod(0o755)


def test_ties_make_no_pair_and_the_better_one_comes_first():
    pairs = [(a["id"], b["id"]) for a, b in pairs_of(ranking(0, ranks=(2, 1, 2, 3)))]
    assert pairs == [("c1", "c0"), ("c0", "c3"), ("c1", "c2"), ("c1", "c3"), ("c2", "c3")]


def test_rows_come_back_as_they_went_in(unlocked):
    write(unlocked / "set")
    assert list(iter_rows(unlocked / "set", "train")) == [ranking(0), ranking(1)]
    pair = next(iter_rows(unlocked / "set", "valid", pairs=True))
    assert pair["chosen"] == [{"role": "assistant", "content": "Because 1."}]
    assert list(iter_rows(unlocked / "set", "test")) == []


def test_same_rows_and_question_give_the_same_bytes_and_hash(unlocked):
    first, second = write(unlocked / "a", split="train"), write(unlocked / "b", split="train")
    other = write(unlocked / "c", split="valid")
    assert first["content_hash"] == second["content_hash"] != other["content_hash"]
    assert (unlocked / "a/train-00000.jsonl.zst").read_bytes() == (unlocked / "b/train-00000.jsonl.zst").read_bytes()


def test_rows_come_back_from_shards_in_their_order(unlocked):
    with DatasetWriter(unlocked / "set", kind="comparisons", question={}, shard_rows=2, formats=["kto"]) as writer:
        for number in range(5):
            writer.add("train", ranking(number))
        manifest = writer.finish(counts={}, exclusions={}, extra={})
    assert [(entry["path"], entry["rows"]) for entry in manifest["files"] if entry["path"].startswith("train")] == [
        ("train-00000.jsonl.zst", 2),
        ("train-00001.jsonl.zst", 2),
        ("train-00002.jsonl.zst", 1),
    ]
    assert [row["id"] for row in iter_rows(unlocked / "set", "train")] == [f"r{number}" for number in range(5)]
    assert verify(unlocked / "set") == []


def test_folders_of_version_1_are_read_and_keep_their_name(tmp_path):
    line = canonical_json(ranking(0)) + b"\n"
    (tmp_path / "train.jsonl").write_bytes(line)
    files = [{"path": "train.jsonl", "sha256": hashlib.sha256(line).hexdigest(), "rows": 1, "bytes": len(line)}]
    body = {"format": "kwise-dataset", "version": 1, "kind": "comparisons", "question": {}}
    listed = [{key: entry[key] for key in ("path", "sha256", "rows")} for entry in files]
    name = hashlib.sha256(canonical_json({**body, "files": listed})).hexdigest()
    manifest = {**body, "files": files, "counts": {}, "exclusions": {}, "content_hash": name}
    (tmp_path / "manifest.json").write_bytes(canonical_json(manifest))
    assert verify(tmp_path) == []
    assert list(iter_rows(tmp_path, "train")) == [ranking(0)]


def test_unpaired_says_what_beats_more_than_beats_it_once_and_nothing_of_what_is_even():
    labels = {row["completion_id"]: row["label"] for row in kto_rows("comparisons", ranking(0, ranks=(1, 2, 2, 3)))}
    assert labels == {"c0": True, "c3": False}
    assert list(kto_rows("comparisons", ranking(0, ranks=(1, 1, 1)))) == []


def test_nothing_is_seen_before_it_is_complete(unlocked):
    with DatasetWriter(unlocked / "set", kind="comparisons", question={}) as writer:
        writer.add("train", ranking(0))
        assert not (unlocked / "set").exists()
    assert list(unlocked.iterdir()) == []


def test_a_data_set_never_replaces_another(unlocked):
    write(unlocked / "set")
    with pytest.raises(FormatError, match="exists already"):
        write(unlocked / "set")


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda folder: (folder / "train-00000.jsonl.zst").write_bytes(b"{}\n"), "train-00000.jsonl.zst has changed"),
        (lambda folder: (folder / "train-00000.jsonl.zst").unlink(), "train-00000.jsonl.zst is missing"),
        (lambda folder: (folder / "extra.jsonl").touch(), "extra.jsonl is not in the manifest"),
    ],
)
def test_verify_names_what_changed(unlocked, damage, words):
    write(unlocked / "set")
    assert verify(unlocked / "set") == []
    for path in [unlocked / "set", *(unlocked / "set").iterdir()]:
        path.chmod(0o755)
    damage(unlocked / "set")
    assert any(words in problem for problem in verify(unlocked / "set"))


def test_verify_sees_a_changed_question_and_a_path_that_leads_outside(unlocked):
    write(unlocked / "set", split="train")
    path = unlocked / "set" / "manifest.json"
    path.chmod(0o644)
    manifest = read_manifest(unlocked / "set")
    path.write_text(json.dumps({**manifest, "question": {"split": "test"}}))
    assert "content hash" in verify(unlocked / "set")[0]
    manifest["files"][0]["path"] = "../../etc/passwd"
    path.write_text(json.dumps(manifest))
    assert any("outside its folder" in problem for problem in verify(unlocked / "set"))


def test_a_folder_of_another_kind_is_named(tmp_path):
    with pytest.raises(FormatError, match="is no data set"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_bytes(canonical_json({"format": "kwise-dataset", "version": 99}))
    with pytest.raises(FormatError, match="version 99"):
        read_manifest(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(FormatError, match="kwise-run"):
        RunFolder(tmp_path).describe()


def test_a_run_keeps_its_figures_and_drops_what_came_after_the_step_it_resumes_from(tmp_path):
    run = RunFolder(tmp_path)
    run.create(algorithm="sft")
    for step in range(1, 4):
        run.log({"step": step, "loss": float("nan") if step == 2 else 1.0 / step})
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 4, "lo')
    assert [row["loss"] for row in run.metrics()] == [1.0, None, 1.0 / 3]
    run.truncate_logs(step=2)
    assert [row["step"] for row in run.metrics()] == [1, 2]
    run.update(state="done")
    assert run.describe()["state"] == "done"
