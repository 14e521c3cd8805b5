#!/usr/bin/env python
"""Django's entry point. `./manage.py help` lists Kwise's commands.

Where DATABASE_URL or REDIS_URL is unset, a command that needs a server gets the embedded one: that of the running demo,
or one started for the command and stopped with it.
"""

import os
import sys

# Commands that work on files and code alone.
WITHOUT_SERVERS = {
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "findstatic",
    "help",
    "makemessages",
    "paper_tables",
    "scan_prompts",
    "spectacular",
    "version",
}


def needs_servers(arguments: list[str]) -> bool:
    """Whether `manage.py` with these arguments may ask the database or Redis."""
    asks_for_help = not arguments or {"-h", "--help", "--version"} & set(arguments)
    return not asks_for_help and arguments[0] not in WITHOUT_SERVERS


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    if needs_servers(sys.argv[1:]):
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from environs import EnvError

        from config import embedded

        try:
            if settings.EMBEDDED_POSTGRES or settings.EMBEDDED_REDIS:
                embedded.ensure(settings.KWISE_HOME, postgres=settings.EMBEDDED_POSTGRES, redis=settings.EMBEDDED_REDIS)
        except (embedded.EmbeddedError, ImproperlyConfigured, EnvError) as error:
            sys.exit(f"manage.py: {error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
