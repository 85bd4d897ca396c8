"""Django's settings, made of the environment; every variable is read here and only here."""

import secrets
from datetime import timedelta
from pathlib import Path
from socket import gethostname

from celery.schedules import crontab
from cryptography.fernet import Fernet

from fleet.config import directory, env, logs

BASE_DIR = Path(__file__).resolve().parents[2]

# --- Rollcall's own ---------------------------------------------------------------------------
DATA_DIR = Path(env.text("DATA_DIR", str(BASE_DIR / ".data"))).expanduser().resolve()
RUN_DIR = env.run_dir(DATA_DIR)
BIND = env.text("BIND", "127.0.0.1")
PORT = env.number("PORT", 8000, 1, 65535)
WORKERS = env.number("WORKERS", 1, 1, 64)
WORKER_SITES = env.words("WORKER_SITES")
SIP_CONTACT = env.host_port("SIP_CONTACT")
DNS_SERVERS = env.dns_servers("DNS_SERVERS")
PROVE_EVERY = env.number("PROVE_EVERY", 1800, 0, 604_800)
HISTORY_DAYS = env.number("HISTORY_DAYS", 400, 1, 3660)
PUBLIC_URL = env.web_address("PUBLIC_URL")
SESSION_HOURS = env.number("SESSION_HOURS", 12, 1, 720)
SESSION_IDLE_MINUTES = env.number("SESSION_IDLE_MINUTES", 240, 5, 43_200)
OIDC = env.open_id()
LDAP = directory.directory()
DEMO = env.flag("DEMO")
ADMIN_PASSWORD = env.text("ADMIN_PASSWORD")
BEHIND_TLS = env.flag("BEHIND_TLS")
ALIVE_FILE = env.text("ALIVE_FILE")
REDIS_URL = env.redis_url(RUN_DIR)

_database, EMBEDDED = env.database(DATA_DIR)
ALLOWED_SERVERS = env.allowed_servers(
    "ALLOWED_SERVER_NETWORKS", BIND, is_for_one_machine=EMBEDDED or DEMO
)
NOTIFICATION_NETWORKS = env.networks_of("NOTIFICATION_NETWORKS")
SECRET_KEY = env.secret("SECRET_KEY", DATA_DIR, EMBEDDED, lambda: secrets.token_urlsafe(64))
CREDENTIALS_KEYS = env.credentials_keys(
    env.secret("CREDENTIALS_KEY", DATA_DIR, EMBEDDED, lambda: Fernet.generate_key().decode())
)

# --- Django -----------------------------------------------------------------------------------
DEBUG = False
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "fleet.config.urls"
ASGI_APPLICATION = "fleet.config.asgi.application"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

INSTALLED_APPS = [
    # Tokens as older versions kept them: for backups of that time, which a migration takes over.
    "rest_framework.authtoken",
    "fleet",
    "registrations",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "auditlog",
    "axes",
    "fleet.apps.RoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "fleet.middleware.RequestId",
    "django.middleware.security.SecurityMiddleware",
    "fleet.middleware.Headers",
    "servestatic.middleware.ServeStaticMiddleware",
    "fleet.middleware.SessionCookies",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "fleet.middleware.Sessions",
    # Default-deny: a page that forgets to ask who is there sends the visitor to the log-in.
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "fleet.middleware.ViewersZone",
    "fleet.middleware.Reach",
    "fleet.faults.NoNul",
    "django.contrib.messages.middleware.MessageMiddleware",
    "fleet.middleware.Audit",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "fleet.roles.context",
                "fleet.zones.context",
            ]
        },
    }
]

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_ALLOW_ALL_ORIGINS = False

# --- Who may come in --------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "fleet.authentication.PasswordBackend",
    *(["fleet.directory_login.DirectoryBackend"] if LDAP.url else []),
    "fleet.admin_site.AdminRoleBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = timedelta(minutes=5)
# By user and address together: a stranger who guesses does not lock the night shift out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "fleet.faults.locked_out"
CSRF_FAILURE_VIEW = "fleet.faults.forged"

SESSION_COOKIE_AGE = SESSION_HOURS * 3600
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = BEHIND_TLS
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SECURE = BEHIND_TLS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if BEHIND_TLS else 0
SECURE_SSL_REDIRECT = BEHIND_TLS
# Supervisors and scrapers ask these on this machine, past the proxy.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_REFERRER_POLICY = "same-origin"
SILENCED_SYSTEM_CHECKS = [
    "security.W002",  # X-Frame-Options is sent by fleet.middleware
    "security.W005",  # HSTS is said of this host: what is below its name is not ours
    "security.W021",  # nor is this a public site, to be preloaded by browsers
]
if not BEHIND_TLS:
    # Said once, by fleet.checks, in words that name the variable.
    SILENCED_SYSTEM_CHECKS += [f"security.{code}" for code in ("W004", "W008", "W010", "W016")]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "fleet.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["fleet.roles.RolePermission"],
    "DEFAULT_THROTTLE_CLASSES": ["fleet.throttling.PerUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "fleet.bodies.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "fleet.openapi.Schema",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Rollcall",
    "DESCRIPTION": "Which server holds each handset's registration, why, and since when.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "RegistrationState": "registrations.models.State.choices",
        "UserRole": ["viewer", "operator", "configurer", "admin"],
        "JobKind": "registrations.models.Job.Kind",
        "IncidentKind": "registrations.models.incidents.Incident.Kind",
        "IncidentState": "registrations.models.incidents.Incident.State",
        "ServerCondition": "registrations.models.ServerChange.What",
        "FailbackState": ["writing", "running", "paused", "done", "cancelled", "aborted"],
    },
}

# --- Channels, cache, Celery ------------------------------------------------------------------
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    if REDIS_URL == env.IN_MEMORY
    else {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # A read timeout would kill every idle subscription (channels_redis issue 422).
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}]},
    }
}

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    if REDIS_URL == env.IN_MEMORY
    else {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}

CELERY_BROKER_URL = env.broker_url(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_DEFAULT_QUEUE = "rollcall"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"
CELERY_DB_REUSE_MAX = 10_000
"""Tasks between which a thread keeps its connection to the database (see `fleet.config.celery`)."""
CELERY_BEAT_SCHEDULER = "fleet.config.beat:Scheduler"
CELERY_BEAT_SCHEDULE_FILENAME = str(RUN_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "tick": {
        "task": "registrations.tasks.tick",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 2},
    },
    "end_stuck": {
        "task": "registrations.tasks.end_stuck",
        "schedule": timedelta(seconds=10),
        "options": {"expires": 5},
    },
    "send_reports": {
        "task": "registrations.tasks.send_reports",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 30},
    },
    "forget_history": {
        "task": "registrations.tasks.forget_history",
        "schedule": timedelta(minutes=30),
        "options": {"expires": 60},
    },
    "take_census": {
        "task": "registrations.tasks.take_census",
        "schedule": crontab(),  # each full minute
        "options": {"expires": 30},
    },
    "thin_census": {
        "task": "registrations.tasks.thin_census",
        "schedule": crontab(minute="17"),
        "options": {"expires": 30},
    },
}

# Where incidents are told by mail. Nothing else sends any.
_MAIL = env.mail("SMTP_URL")
EMAIL_HOST = _MAIL.host
EMAIL_PORT = _MAIL.port
EMAIL_HOST_USER = _MAIL.user
EMAIL_HOST_PASSWORD = _MAIL.password
EMAIL_USE_TLS = _MAIL.scheme == "smtp+starttls"
EMAIL_USE_SSL = _MAIL.scheme == "smtps"
DEFAULT_FROM_EMAIL = env.text("MAIL_FROM", f"rollcall@{gethostname()}")

LOGGING = logs.config(
    env.text("LOG_LEVEL", "INFO"), env.choice("LOG_FORMAT", "logfmt", logs.RENDERERS)
)
AUDITLOG_CID_GETTER = "fleet.request_id.current"
