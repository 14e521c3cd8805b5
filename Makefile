# Every target sets up what it needs; the first one takes minutes, later ones begin at once.
# Set PYTHON to choose the interpreter (3.11 or 3.12) for the environment.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
TORCH := torch==2.13.0

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.ready  ## the environment .venv and a browser for the tests
	@$(MAKE) chromium || true

demo: .venv/.ready  ## all of Kwise on this machine, until Ctrl-C (PORT, MODEL_PORT, KWISE_HOME, DATABASE_URL, REDIS_URL)
	@$(PY) -m config.supervisor demo

test: .venv/.ready chromium  ## all tests but the ones against vLLM (ARGS="-k word" chooses some, ARGS="-n 0" one process)
	$(PY) -m pytest -n 2 --dist loadfile --ignore=tests/vllm $(ARGS)

test-vllm: .venv/.ready .venv-vllm/.ready  ## the tests against a real vLLM server on CPU
	$(PY) -m pytest tests/vllm $(ARGS)

loop: .venv/.ready  ## the whole loop without a browser (DATA=file of rankings, MODEL=dir of another model)
	KWISE_HOME="$${KWISE_HOME:-.kwise-loop}" LOG_LEVEL="$${LOG_LEVEL:-WARNING}" $(PY) manage.py loop $(if $(DATA),--data "$(DATA)") $(if $(MODEL),--model "$(MODEL)")

mutants: .venv/.ready  ## plant bugs in the trainers, one by one: each must turn a test red (WORDS="tie" chooses some)
	$(PY) -m tests.training.mutants $(WORDS)

lint: .venv/.ready  ## style, import rules
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/lint-imports

messages: .venv/.ready  ## gather what is to be translated into locale/, compile what is translated (needs gettext)
	$(PY) manage.py makemessages --all --no-location --no-obsolete --no-wrap \
	    --ignore tests --ignore bench --ignore training --ignore models_service
	$(PY) manage.py compilemessages --ignore .venv --ignore .venv-vllm

bench: .venv/.ready  ## every benchmark, one JSON line per figure, to bench/results/
	$(PY) -m bench $(ARGS)

# ------------------------------------------------------------------------------------------------ environments

# The stamps lie in the environments: deleting one makes it anew, and so does a change of what it is made from.
define new_venv
	@python=$$(for p in "$${PYTHON:-}" python3.11 python3.12 python3; do \
	    [ -n "$$p" ] && "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
	        && echo "$$p" && break; done || true); \
	if [ -z "$$python" ]; then echo "Kwise needs Python 3.11 or 3.12; set PYTHON to one." >&2; exit 1; fi; \
	[ -x $(1)/bin/python ] || "$$python" -m venv $(1)
	$(1)/bin/python -m pip install --quiet uv
endef

# torch comes through pip, which heeds where this machine's pip looks for the right build of it; then uv, which resolves
# the rest in seconds where pip takes minutes, and leaves the installed torch alone. Where uv finds no index, pip does it.
.venv/.ready: pyproject.toml models_service/base-requirements.txt
	$(call new_venv,.venv)
	.venv/bin/python -m pip install --quiet $(TORCH)
	.venv/bin/uv pip install --quiet --python .venv -e '.[web,train,serve,dev]' \
	    || .venv/bin/python -m pip install --quiet -e '.[web,train,serve,dev]'
	.venv/bin/python -m pip install --quiet --no-deps -r models_service/base-requirements.txt
	@touch $@

# The wheels for pictures and sound that vLLM asks for fit another build of torch and fail beside this one; Kwise serves
# text and does without.
.venv-vllm/.ready: models_service/vllm-requirements.txt
	$(call new_venv,.venv-vllm)
	.venv-vllm/bin/python -m pip install --quiet $(TORCH)
	.venv-vllm/bin/uv pip install --quiet --python .venv-vllm -r $< \
	    || .venv-vllm/bin/python -m pip install --quiet -r $<
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get install -y -qq chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; }; \
	else \
	    echo "The browser tests need Chromium; install it, e.g. with: sudo apt-get install chromium" >&2; exit 1; \
	fi

.PHONY: help setup demo test test-vllm loop mutants lint messages bench chromium
