"""How the API reads bodies. Apart from `labeling.api`, since DRF's views import the parser that the settings name."""

from __future__ import annotations

from typing import Any

from rest_framework.parsers import BaseParser

from labeling.text import parse_json


class StrictJSONParser(BaseParser):
    """JSON that PostgreSQL can store, or a 400 with a sentence. Text is kept to the byte."""

    media_type = "application/json"

    def parse(self, stream, media_type=None, parser_context=None) -> Any:
        body = stream.read()
        return parse_json(body) if body.strip() else {}
