"""Static files under names that carry their hash, compressed once: a browser asks for each of them a single time.

The web process collects them when it starts (config/gunicorn.py). Where nobody has, as in tests, names stay plain and
files are served from where they lie.
"""

from __future__ import annotations

from django.contrib.staticfiles.apps import StaticFilesConfig
from whitenoise.storage import CompressedManifestStaticFilesStorage


class OurStaticFiles(StaticFilesConfig):
    # What packages bring and no page of ours asks for. Some of it imports what is not there.
    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "rest_framework", "ext", "htm*-4*", "htmx-2.js"]


class HashedFiles(CompressedManifestStaticFilesStorage):
    # The imports of our modules get the hashed names too.
    support_js_module_import_aggregation = True

    def stored_name(self, name: str) -> str:
        return super().stored_name(name) if self.hashed_files else name
