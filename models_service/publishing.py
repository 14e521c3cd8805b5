"""Bringing a trained model before people: the running server takes new weights, without a restart. httpx only.

The embedded server takes any number of models by name. A vLLM server has one, under the name it was started with; its
weights are exchanged in place through its development routes (`VLLM_SERVER_DEV_MODE=1`, loopback or a private network
only). What it was started with comes back when it restarts: start it on the published folder from then on.

The server must see the folder under the same path as we do.
"""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import quote

from models_service.client import ModelClient, ModelRefused, ModelUnavailable
from models_service.folders import ModelFolder, ModelFolderError, check_model_folder

log = logging.getLogger(__name__)

LOAD_SECONDS = 600.0  # a large model is read from a disk
PAUSE_SECONDS = 900.0  # what runs when the pause is asked for finishes first, on the old weights


class PublishFailed(ModelRefused):
    """The exchange of weights broke half-way; the message says in which state the server is and what to do."""


def publish(base_url: str, name: str, path: Path | str, *, api_key: str | None = None) -> str:
    """Have the server serve the model in `path`; returns the name to ask it for. Twice is as good as once.

    The embedded server serves it as `name`, beside its other models or in place of the one of that name. vLLM has but
    one: its own name comes back, and **whoever asks for that name gets the new model from now on**, so endpoints that
    stood for the old one must be closed.

    Raises ModelRefused (the folder is no complete model, or the server will not have it) and ModelUnavailable; the
    server then serves what it did before, except after PublishFailed, which says.
    """
    try:
        folder = check_model_folder(Path(path).absolute())
    except ModelFolderError as error:
        raise ModelRefused(str(error)) from None
    with ModelClient(base_url, api_key) as client:
        if _is_vllm(client):
            served_as = _exchange_weights(client, folder)
        else:
            client.call("POST", "/admin/models", {"name": name, "path": str(folder.path)}, timeout=LOAD_SECONDS)
            served_as = name
    log.info("%s serves %s as %s", base_url, folder.path, served_as)
    return served_as


def withdraw(base_url: str, name: str, *, api_key: str | None = None) -> None:
    """The server no longer has `name`. ModelRefused where it has none, and from vLLM, which cannot be without."""
    with ModelClient(base_url, api_key) as client:
        if _is_vllm(client):
            raise ModelRefused("a vLLM server always serves its one model; publish another in its place, or stop it")
        # A name is a path segment here: whatever it holds must not become another route.
        client.call("DELETE", f"/admin/models/{_segment(name)}")


def _is_vllm(client: ModelClient) -> bool:
    """The embedded server may be empty; only vLLM lists models that it owns."""
    return any(client.owner(model) == "vllm" for model in client.models())


def _segment(name: str) -> str:
    return quote(name, safe="", errors="surrogatepass")


def _exchange_weights(client: ModelClient, folder: ModelFolder) -> str:
    name = client.models()[0]
    running = _running_folder(client, name)
    if running is not None:
        _must_fit(folder, running)
    # Whoever is being answered is answered by the old weights to the end.
    client.call("POST", "/pause?mode=wait", timeout=PAUSE_SECONDS)
    try:
        _reload(client, folder.path)
    except (ModelRefused, ModelUnavailable) as error:
        _put_back(client, running, error)
    # Keys and values of the old weights would answer for prompts seen before.
    client.call("POST", "/reset_prefix_cache")
    client.call("POST", "/update_weight_version", {"new_version": str(folder.path)})
    client.call("POST", "/resume")
    return name


def _reload(client: ModelClient, path: Path, *, tries: int = 1) -> None:
    body = {"method": "reload_weights", "kwargs": {"weights_path": str(path)}}
    client.call("POST", "/collective_rpc", body, timeout=LOAD_SECONDS, tries=tries)


def _running_folder(client: ModelClient, name: str) -> ModelFolder | None:
    """What vLLM runs now: what was published last, else what it was started with. None where we cannot read that."""
    try:
        version = client.call("GET", "/weight_info").get("weight_version")
    except ModelRefused as error:
        if error.status == 404:
            raise ModelRefused(
                "this vLLM server has no route to exchange weights; start it with VLLM_SERVER_DEV_MODE=1"
            ) from None
        raise
    for path in (version, client.root(name)):
        if isinstance(path, str) and Path(path).is_absolute():
            try:
                return check_model_folder(path)
            except ModelFolderError:
                continue
    return None


def _must_fit(new: ModelFolder, running: ModelFolder) -> None:
    """vLLM keeps the shape it was started with. Weights that do not fit would leave it without any, so look first."""
    if new.architecture != running.architecture:
        raise ModelRefused(f"{new.path} is a {new.architecture}, the server runs a {running.architecture}")
    # A head that is tied to the embeddings may be written or left out.
    names = set(new.tensors) ^ set(running.tensors)
    wrong = sorted(name for name in names if not name.endswith("lm_head.weight"))
    wrong += sorted(n for n in set(new.tensors) & set(running.tensors) if new.tensors[n] != running.tensors[n])
    if wrong:
        raise ModelRefused(
            f"{new.path} does not fit what the server runs ({running.path}): {', '.join(wrong[:5])} differ; "
            "start a server of its own for it"
        )


def _put_back(client: ModelClient, running: ModelFolder | None, error: Exception) -> None:
    """After a failed reload the weights are undefined. With the old ones back the server goes on; else it stays paused,
    so that nobody is answered by noise."""
    if running is not None:
        try:
            _reload(client, running.path, tries=3)  # vLLM closes the connection on which it reported its failure
            client.call("POST", "/reset_prefix_cache")
            client.call("POST", "/resume")
        except (ModelRefused, ModelUnavailable):
            pass
        else:
            raise PublishFailed(f"the server refused the new weights and has its old ones back: {error}") from error
    raise PublishFailed(
        f"vLLM failed while it read new weights and is paused without any; restart it: {error}"
    ) from error
