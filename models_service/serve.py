"""Starting and stopping the embedded server: arguments in, exit status out. SIGTERM lets what runs finish."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ServeArgs:
    """What `python -m models_service serve` takes; see its --help."""

    models: list[tuple[str, Path]] = field(default_factory=list)
    registry: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8001
    threads: int = 0
    device: str = "auto"
    dtype: str = "auto"
    max_loaded: int = 3
    max_rows: int = 64
    max_tokens: int = 65_536
    drain_seconds: int = 30
    api_key: str | None = None


def serve(args: ServeArgs) -> int:
    """Serve until SIGTERM or SIGINT; 0 when stopped so, 1 when it could not start (and stderr says why)."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # Nothing to finish yet. An exception would not do: raised inside an import, it comes out as something else.
        signal.signal(number, lambda *_: os._exit(0))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    try:
        listener = _bind(args.host, args.port)
    except OSError as error:
        print(f"cannot listen on {args.host}:{args.port}: {error.strerror or error}", file=sys.stderr)
        return 1
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models come from folders; nothing is ever fetched
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Threads that wait must sleep: spinning, they steal the cores from the worker and the trainer beside them, and a
    # token took ten times as long. Read once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch
    import uvicorn

    from models_service.engine import Engine, Job
    from models_service.folders import ModelFolderError
    from models_service.loading import describe
    from models_service.metrics import Metrics
    from models_service.registry import Registry, RegistryError
    from models_service.server import Server

    if args.threads:
        torch.set_num_threads(args.threads)
    device = args.device if args.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = args.dtype if args.dtype != "auto" else ("float32" if device == "cpu" else "auto")
    metrics, registry = Metrics(), Registry(args.registry)
    engine = Engine(
        metrics,
        device=device,
        dtype=dtype,
        max_loaded=args.max_loaded,
        max_rows=args.max_rows,
        max_tokens=args.max_tokens,
    )
    try:
        registry.read()
        for name, why in registry.missing.items():
            logging.warning("model %s of the registry is not served: %s", name, why)
        for name, path in args.models:
            if registry.get(name) is not None:
                logging.warning("model %s: what was published under this name is served, not %s", name, path)
            else:
                registry.put(describe(name, path.absolute(), created=int(time.time()), published=False))
        engine.start()
        # Read weights now where there is room, so that the first request is quick and a broken model stops the start.
        for name, _path in args.models[: args.max_loaded]:
            engine.submit(Job(registry.get(name))).result()
    except (ModelFolderError, RegistryError) as error:
        print(f"the model server did not start: {error}", file=sys.stderr)
        engine.close()
        return 1

    local = _is_loopback(args.host)
    if not local and not args.api_key:
        logging.warning("listening on %s without an API key: the admin routes are closed", args.host)
    server = Server(engine, registry, metrics, api_key=args.api_key, admin=local or bool(args.api_key))
    hosts = [args.host, "127.0.0.1", "localhost", "[::1]"] if local else None
    config = uvicorn.Config(
        server.app(hosts=hosts),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=args.drain_seconds,
        server_header=False,
    )
    port = listener.getsockname()[1]
    names = ", ".join(served.name for served in registry.all()) or "none yet"
    with _stopped_by_signals(running := uvicorn.Server(config)):
        logging.info("model server on http://%s:%d; models: %s", args.host, port, names)
        running.run(sockets=[listener])
    engine.close()
    logging.info("model server stopped")
    return 0


def _bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet: until the models are read, a connection is refused at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except BaseException:
        listener.close()
        raise
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.contextmanager
def _stopped_by_signals(server) -> Iterator[None]:
    """SIGTERM and SIGINT ask the server to end; a second one does not wait for what runs.

    uvicorn's own handling raises the signal again at the end, so that a wanted stop would look like a crash.
    """

    def stop(_number: int, _frame: object) -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    server.capture_signals = contextlib.nullcontext
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        yield
    finally:
        # Who asks again while the process winds up must not turn a clean end into a killed one.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
