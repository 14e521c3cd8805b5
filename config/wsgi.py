"""The web application for a WSGI server. It starts no other servers: `make demo` or compose does."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from config import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Said at the start, by name, and not as a connection error in the first reader's page.
embedded.require(settings.KWISE_HOME, postgres=settings.EMBEDDED_POSTGRES, redis=settings.EMBEDDED_REDIS)
application = get_wsgi_application()
