"""The Celery application: `celery -A config worker` and `celery -A config beat`. Neither starts servers."""

import os
import sys

from celery import Celery, signals

from config import embedded, heartbeat  # noqa: F401  (heartbeat connects its signals)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("kwise")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name="jobs")


@signals.worker_init.connect
@signals.beat_init.connect
def _check_servers(**_: object) -> None:
    """Ends the process with a sentence where the embedded servers do not run."""
    from django.conf import settings

    try:
        embedded.require(settings.KWISE_HOME, postgres=settings.EMBEDDED_POSTGRES, redis=settings.EMBEDDED_REDIS)
    except embedded.EmbeddedError as error:
        sys.exit(f"celery: {error}")
