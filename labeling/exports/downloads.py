"""Files of data sets as downloads, for the page and the API."""

from __future__ import annotations

from pathlib import Path

from django.http import FileResponse


def send_file(path: Path) -> FileResponse:
    """A file as a download under its own name, streamed, and never shown by the browser whatever is in it."""
    return FileResponse(
        path.open("rb"), as_attachment=True, filename=path.name, content_type="application/octet-stream"
    )
