"""10. Nothing is loaded with pickle: weights are safetensors, messages JSON."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_ARGUMENTS = {"allow_pickle=True", "use_safetensors=False", "safe_serialization=False"}
FORBIDDEN_CALLS = {"torch.load", "torch.save", "np.save", "numpy.save", "pd.read_pickle"}


def offences(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.append(node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in FORBIDDEN_CALLS:
            found.append(ast.unparse(node.func))
        elif isinstance(node, ast.keyword):
            found += {f"{node.arg}={ast.unparse(node.value)}"} & FORBIDDEN_ARGUMENTS
    return found


@pytest.mark.parametrize("folder", ["config", "labeling", "models_service", "training"])
def test_no_source_file_pickles(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    assert {str(path): found for path in files if (found := offences(path.read_text("utf-8")))} == {}


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from dill import loads", "torch.load(path)", "numpy.load(path, allow_pickle=True)"],
)
def test_the_search_finds_what_it_looks_for(source):
    assert offences(source)


def test_messages_are_json_alone():
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert settings.CELERY_TASK_SERIALIZER == "json"
