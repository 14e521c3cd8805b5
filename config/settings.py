"""All settings, read once from the environment. A value that makes no sense stops the start with a sentence.

docs/operations.md lists the variables. Defaults are safe for production; `make demo` sets what a laptop needs.
"""

import shlex
import sys
from pathlib import Path

import dj_database_url
import structlog
from django.core.exceptions import ImproperlyConfigured
from environs import Env

from config import embedded

ROOT = Path(__file__).resolve().parent.parent
env = Env()

# Where Kwise keeps what it makes itself: embedded servers, data sets, runs, models, the generated secret key.
KWISE_HOME = Path(env.str("KWISE_HOME", default=str(ROOT / ".kwise"))).expanduser().resolve()
DEBUG = env.bool("DEBUG", default=False)

DATABASE_URL = env.str("DATABASE_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="")
EMBEDDED_POSTGRES = not DATABASE_URL
EMBEDDED_REDIS = not REDIS_URL

SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    # `make demo` on servers of one's own is still one person's machine: it generates a key as well.
    if not (EMBEDDED_POSTGRES or DEBUG or env.bool("KWISE_DEMO", default=False)):
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. With a database of your own Kwise wants a secret key of your own: set "
            "SECRET_KEY to 50 or more random characters and keep it, or sessions and labeler pseudonyms change."
        )
    SECRET_KEY = embedded.secret_key(KWISE_HOME)

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Behind TLS, as every server other than a laptop should be.
HTTPS = env.bool("HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 14 * 86_400  # seconds
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "config.static_files.OurStaticFiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "pgtrigger",
    "rest_framework",
    "drf_spectacular",
    "django_htmx",
    "django_structlog",
    "labeling",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Pages carry a CSRF token beside text of others. It is masked anew in each answer, and the middleware adds random
    # bytes to what it compresses, so that lengths tell nothing (BREACH).
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # Knows the person, so that theirs is the language of all that follows.
    "config.middleware.Language",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "config.middleware.ContentSecurityPolicy",
    "config.middleware.RefuseBadInput",
    "config.middleware.WriteDownReading",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

if EMBEDDED_POSTGRES:
    _database = embedded.database_settings(KWISE_HOME)
else:
    # The value is not repeated: it may hold a password.
    try:
        _database = dj_database_url.parse(DATABASE_URL)
    except ValueError:
        _database = {"ENGINE": None}
    if _database["ENGINE"] != "django.db.backends.postgresql" or not _database["NAME"]:
        raise ImproperlyConfigured(
            "DATABASE_URL must name a database on a PostgreSQL server, e.g. postgres://user:password@host/kwise, with "
            "special characters of the password percent-encoded. Unset it for the embedded PostgreSQL."
        ) from None
_pool = env.int("DATABASE_POOL_SIZE", default=10)
DATABASES = {
    "default": {
        **_database,
        # Connections wait in a pool of the process; a request borrows one and gives it back. Or each thread keeps one,
        # and asks at the first query of a request whether it still lives.
        "CONN_MAX_AGE": 0 if _pool else None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            # None, which is Django's, forbids preparing statements even to those that ask for it.
            "prepare_threshold": 5,
            # Parameters reach PostgreSQL in prepared statements alone (labeling/rows.py). Left to choose, it compares
            # the cost of one plan for all values with an average from before the last ANALYZE, and may then plan each
            # grant anew: 3.5 ms of database CPU instead of 1.2, still so 3,000 grants later.
            "options": f"{_database.get('OPTIONS', {}).get('options', '')} -c plan_cache_mode=force_generic_plan",
            **({"pool": {"min_size": 1, "max_size": _pool, "timeout": 10}} if _pool else {}),
        },
    }
}
if REDIS_URL and not REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
    raise ImproperlyConfigured(
        "REDIS_URL must name a Redis server, e.g. redis://:password@host:6379/0. Unset it for the embedded Redis."
    )
BROKER_URL = REDIS_URL or embedded.redis_url(KWISE_HOME)

AUTH_USER_MODEL = "labeling.User"
AUTHENTICATION_BACKENDS = ["labeling.people.sessions.Backend"]
SESSION_ENGINE = "labeling.people.sessions"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
# Each by its own name. One more is one more folder in locale/ and one more module static/js/words.XX.js.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [ROOT / "locale"]
FORMAT_MODULE_PATH = ["config.formats"]
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = 365 * 86_400  # seconds
LANGUAGE_COOKIE_SECURE = HTTPS
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = "UTC"
USE_I18N = USE_TZ = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [ROOT / "static"]
# Where the web process collects them at its start, hashed and compressed, and WhiteNoise serves them from.
STATIC_ROOT = env.str("STATIC_ROOT", default="") or str(KWISE_HOME / "static")
WHITENOISE_USE_FINDERS = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.static_files.HashedFiles"},
}

# One request's body, bytes. Larger intakes come as files through `import_prompts`.
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 2**20
FILE_UPLOAD_TEMP_DIR = None

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "labeling.people.api_auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["labeling.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "labeling.api.explain_exception",
    "DEFAULT_PAGINATION_CLASS": None,
}
SPECTACULAR_SETTINGS = {"TITLE": "Kwise", "DESCRIPTION": "The human-feedback workbench.", "VERSION": "1"}

# Celery carries messages; the rows in `background` are the truth.
CELERY_BROKER_URL = (
    BROKER_URL
    if "://" in BROKER_URL and not BROKER_URL.startswith("unix:")
    else BROKER_URL.replace("unix:", "redis+socket:", 1)
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600}  # seconds
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_BEAT_SCHEDULE = {
    # A sweep that waited longer than the next one's time is not worth running.
    "sweep": {"task": "kwise.sweep", "schedule": 15.0, "options": {"expires": 15}},
    "reports": {"task": "kwise.make_reports", "schedule": 15.0, "options": {"expires": 15}},
    # Reports are promised to be a minute old at most: the time between two looks and that of one together.
    "checks": {"task": "kwise.checks", "schedule": 30.0, "options": {"expires": 30}},
    "quality": {"task": "kwise.quality", "schedule": 20.0, "options": {"expires": 20}},
    # Days that are over come to the ledger within a quarter of an hour.
    "pay": {"task": "kwise.pay", "schedule": 900.0, "options": {"expires": 900}},
    # A period is counted in days, and what it leaves is small.
    "retention": {"task": "kwise.retention", "schedule": 3600.0, "options": {"expires": 3600}},
    # How long a task whose labelers disagree waits to be seen.
    "adjudication": {"task": "kwise.adjudication", "schedule": 20.0, "options": {"expires": 20}},
    # How long a prompt that came in by the API waits for its language.
    "prompts": {"task": "kwise.prompts", "schedule": 60.0, "options": {"expires": 60}},
    "label-errors": {"task": "kwise.label_errors", "schedule": 30.0, "options": {"expires": 30}},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(KWISE_HOME / "beat-schedule")

# Jobs
JOB_HEARTBEAT = 10  # seconds between signs of life of a running job
JOB_STALE_AFTER = 60  # seconds without one after which the sweep gives the job to another worker
JOB_RESEND_AFTER = 60  # seconds a sent message may stay unanswered before it is sent again

# Prompts
# Mixed into the hash that decides a source user's split and a labeler's pseudonym.
PROJECT_SALT = env.str("PROJECT_SALT", default="") or SECRET_KEY
PROMPT_MAX_CHARACTERS = 100_000
# Above it a prompt is left out of an intake; counted by labeling/intake/tokens.py. 0 for no limit.
PROMPT_MAX_TOKENS = env.int("PROMPT_MAX_TOKENS", default=1000, validate=lambda tokens: tokens >= 0)
# Lines of each reason that an import names one by one; all are counted.
IMPORT_PROBLEMS_KEPT = env.int("IMPORT_PROBLEMS_KEPT", default=10_000, validate=lambda lines: lines >= 0)

# Leases
LEASE_SECONDS = env.int("LEASE_SECONDS", default=900)
# After its end a lease keeps its seat this long, for who was about to send.
LEASE_GRACE_SECONDS = env.int("LEASE_GRACE_SECONDS", default=60)
# How long a task fetched ahead keeps its seat after the last sign of life at the open one: some heartbeats of the page.
AHEAD_SECONDS = env.int("AHEAD_SECONDS", default=180)
# Seconds that a process believes the figures which an admin sets on the settings page; they replace the three above.
TEAM_SETTINGS_KEPT = 1

# Models
MODEL_SERVER_URL = env.str("MODEL_SERVER_URL", default="http://127.0.0.1:8001")
# Where the newest reward model is asked for scores: a vLLM server of its own, or the embedded one beside its others.
REWARD_SERVER_URL = env.str("REWARD_SERVER_URL", default="") or MODEL_SERVER_URL
MODEL_SERVER_NAME = env.str("MODEL_SERVER_NAME", default="smollm2-135m")
BASE_MODEL = Path(env.str("BASE_MODEL", default=str(KWISE_HOME / "models" / "smollm2-135m")))
# What starts a trainer. Over several GPUs: "accelerate launch --config_file FILE -m training".
TRAINING_COMMAND = shlex.split(env.str("TRAINING_COMMAND", default="")) or [sys.executable, "-m", "training"]
DATASETS_FOLDER = KWISE_HOME / "datasets"
RUNS_FOLDER = KWISE_HOME / "runs"

LOG_LEVEL = env.log_level("LOG_LEVEL", default="INFO")
LOG_FORMAT = env.str("LOG_FORMAT", default="json")
if LOG_FORMAT not in ("json", "console"):
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}; choose json or console")
_log_chain = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer()
                if LOG_FORMAT == "json"
                else structlog.dev.ConsoleRenderer(colors=False),
            ],
            "foreign_pre_chain": _log_chain,
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {"httpx": {"level": "WARNING"}, "httpcore": {"level": "WARNING"}},
}
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_log_chain,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
