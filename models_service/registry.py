"""The models a server has by name, and the file in which published ones outlast it."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from pathlib import Path

from models_service.folders import ModelFolderError
from models_service.loading import Served, describe


class RegistryError(Exception):
    """The registry's file is not one; the message names it."""


class Registry:
    """Name → model. Readers see the old or the new state; writers take turns. The file is replaced whole."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.missing: dict[str, str] = {}  # names of the file whose folder could not be read → why
        self._models: dict[str, Served] = {}
        self._paths: dict[str, str] = {}  # what the file holds
        self._lock = threading.Lock()

    def read(self) -> None:
        """Take in what the file holds. A folder that is gone is noted in `missing`, and stays in the file."""
        if self.file is None or not self.file.exists():
            return
        try:
            paths = json.loads(self.file.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise RegistryError(f"{self.file} cannot be read as a registry: {error}; mend or remove it") from None
        if not isinstance(paths, dict) or not all(isinstance(path, str) for path in paths.values()):
            raise RegistryError(f"{self.file} must hold one JSON object of names and paths; mend or remove it")
        for name, path in paths.items():
            self._paths[name] = path
            try:
                self._models[name] = describe(name, Path(path), created=int(time.time()), published=True)
            except ModelFolderError as error:
                self.missing[name] = str(error)

    def get(self, name: str) -> Served | None:
        return self._models.get(name)

    def all(self) -> list[Served]:
        return [self._models[name] for name in sorted(self._models)]

    def put(self, served: Served) -> Served | None:
        """Serve a model from now on; the one it replaces comes back, retired. A published one goes into the file."""
        with self._lock:
            if served.published:
                self._write({**self._paths, served.name: str(served.folder.path)})
            old = self._models.get(served.name)
            self._models = {**self._models, served.name: served}
            self.missing.pop(served.name, None)
        if old is not None:
            old.retired = True
        return old

    def remove(self, name: str) -> Served | None:
        """Serve a model no longer; it comes back, retired, or None where there was none."""
        with self._lock:
            if name in self._paths:
                self._write({key: path for key, path in self._paths.items() if key != name})
            old = self._models.get(name)
            self._models = {key: model for key, model in self._models.items() if key != name}
            self.missing.pop(name, None)
        if old is not None:
            old.retired = True
        return old

    def _write(self, paths: dict[str, str]) -> None:
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.file.parent, prefix=f".{self.file.name}.")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(paths, file, indent=2, sort_keys=True)
                    file.write("\n")
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, self.file)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        self._paths = paths
