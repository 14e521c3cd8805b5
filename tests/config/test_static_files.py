"""Scripts and styles as the web process serves them: hashed, compressed, each asked for once."""

from __future__ import annotations

import gzip
import re

from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import RequestFactory, override_settings
from whitenoise.middleware import WhiteNoiseMiddleware

from config.static_files import HashedFiles


def test_collected_files_have_hashed_names_to_the_last_import_and_are_compressed(tmp_path):
    with override_settings(STATIC_ROOT=str(tmp_path)):
        call_command("collectstatic", interactive=False, verbosity=0)
        storage = HashedFiles(location=str(tmp_path))
    page = storage.stored_name("js/ranking.js")
    assert re.fullmatch(r"js/ranking\.[0-9a-f]{12}\.js", page)
    script = (tmp_path / page).read_text()
    imports = re.findall(r'from "\./([^"]+)"', script)
    assert len(imports) >= 8
    for name in imports:
        assert re.search(r"\.[0-9a-f]{12}\.js$", name), name
        assert (tmp_path / "js" / name).exists()
    assert gzip.decompress((tmp_path / f"{page}.gz").read_bytes()).decode() == script
    assert not (tmp_path / "rest_framework").exists()


def test_a_browser_keeps_a_hashed_file_and_gets_it_compressed(tmp_path, monkeypatch):
    with override_settings(STATIC_ROOT=str(tmp_path), WHITENOISE_USE_FINDERS=False):
        call_command("collectstatic", interactive=False, verbosity=0)
        storage = HashedFiles(location=str(tmp_path), base_url="/static/")
        monkeypatch.setattr("whitenoise.middleware.staticfiles_storage", storage)
        serve = WhiteNoiseMiddleware(lambda request: None)
        response = serve(RequestFactory().get(storage.url("css/kwise.css"), headers={"accept-encoding": "gzip"}))
    assert response.headers["Content-Encoding"] == "gzip"
    assert "immutable" in response.headers["Cache-Control"]
    # Not `response.close()`, which tells the database connection of an earlier test that a request has ended.
    response.file_to_stream.close()


def test_where_nobody_collected_names_stay_plain():
    assert staticfiles_storage.url("css/kwise.css") == "/static/css/kwise.css"
