"""The whole configuration, read from the environment (names: README, "Settings").

A shop without SECRET_KEY is *local*: it makes its own key in the data folder, answers on
loopback only, sends its mail to a local mailbox and charges cards at the bank stand-in.
A shop with SECRET_KEY is in production, and refuses to start until the rest is given.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from csp.constants import NONCE, NONE, SELF
from environ import Env

from config.env import (
    BASE_DIR,
    anymail_settings,
    data_dir,
    env,
    insist_on,
    local_secret,
    media_store,
    origin,
    running_shop,
    sentry_dsn,
    webhook_secrets,
)
from config.staff import UNFOLD as UNFOLD

WAYBILL_DATA: Path = data_dir()
_up = running_shop(WAYBILL_DATA)

# -- Who may reach us, and with which secrets ---------------------------------------------
# Without them buyers would read of a shop that does not exist, and their addresses would go to somebody else's.
NEEDED_IN_PRODUCTION = (
    "ALLOWED_HOSTS",
    "EMAIL_URL",
    "DEFAULT_FROM_EMAIL",
    "SHIPPING_DEPARTMENT_EMAIL",
    "OPERATOR_EMAIL",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
)
LOCAL = not env.str("SECRET_KEY", "")
SECRET_KEY = env.str("SECRET_KEY", "") or local_secret(WAYBILL_DATA, "secret_key")
if not LOCAL:
    insist_on(*NEEDED_IN_PRODUCTION)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
SITE_URL: str = env.str("SITE_URL", _up.get("url", "http://127.0.0.1:8000" if LOCAL else f"https://{ALLOWED_HOSTS[0]}"))
SITE_URL = SITE_URL.rstrip("/")  # paths begin with one
CSRF_TRUSTED_ORIGINS = [SITE_URL]

# -- What it is made of -------------------------------------------------------------------
INSTALLED_APPS = [
    "config.apps.ConfigConfig",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_celery_results",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "orders.apps.OrdersConfig",
    "accounts.apps.AccountsConfig",
    "uploads.apps.UploadsConfig",
    "notifications.apps.NotificationsConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "notifications.correlation.RequestLog",
    "notifications.correlation.CorrelationMiddleware",
    "config.errors.RefuseNul",
    "csp.middleware.CSPMiddleware",
    "config.policy.StaffPagesPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.OwnTimeZone",
    "accounts.middleware.StaffSecondFactor",
    "accounts.middleware.KeptByNobody",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

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
                "csp.context_processors.nonce",
                "config.context.shop",
                "notifications.context.staff_warnings",
            ],
        },
    },
]

# -- The database: the queue and the truth ------------------------------------------------
DATABASE_IS_CHOSEN = bool(env.str("DATABASE_URL", ""))
DATABASE_URL: str = (
    env.str("DATABASE_URL", "") or _up.get("database_url") or f"sqlite:///{quote(str(WAYBILL_DATA))}/waybill.sqlite3"
)
SQLITE_OPTIONS = {
    # A read that turns into a write fails at once under DEFERRED; IMMEDIATE waits its turn.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    "options": "-c lock_timeout=3s -c idle_in_transaction_session_timeout=15s"
    " -c statement_timeout=15s -c client_connection_check_interval=1s",
}


def _database() -> dict[str, Any]:
    # Written out, not env.db(): a malformed URL must name the setting, and options depend on the engine.
    database: dict[str, Any] = Env.db_url_config(DATABASE_URL)
    if database["ENGINE"].endswith("sqlite3"):
        database |= {"ENGINE": "config.sqlite", "OPTIONS": SQLITE_OPTIONS}
        # Threads and tests share a file, never a private in-memory database.
        database["TEST"] = {"NAME": str(WAYBILL_DATA / "test.sqlite3")}
    else:
        database |= {"ENGINE": "config.postgresql", "OPTIONS": {**database.get("OPTIONS", {}), **POSTGRES_OPTIONS}}
    return database | {"ATOMIC_REQUESTS": False, "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}


DATABASES = {"default": _database()}
# What counts tries must count them in all processes, and add() must let one of several win: the database does both.
# Files do neither under load. Redis does too (CACHE_URL=redis://…), and spares the database the writes.
IN_THE_DATABASE = {
    "BACKEND": "django.core.cache.backends.db.DatabaseCache",
    "LOCATION": "accounts_cacheentry",
    # With fewer, whoever comes from many addresses would push out the counts of their own tries.
    "OPTIONS": {"MAX_ENTRIES": 100_000},
}
CACHES = {"default": env.cache_url("CACHE_URL") if env.str("CACHE_URL", "") else IN_THE_DATABASE}

# -- After the commit ---------------------------------------------------------------------
# An empty BROKER_URL says "no broker": the relay then runs the handlers itself.
BROKER_URL: str = env.str("BROKER_URL", _up.get("broker_url") or "")
CELERY_BROKER_URL = BROKER_URL or "memory://"
CELERY_RESULT_BACKEND = "django-db"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_DB_REUSE_MAX = 10**9  # tasks: left to itself Celery connects anew before each (pipeline/tasks.py looks)
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # rescue does it, and counts; a broker would loop
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
}
CELERY_TASK_DEFAULT_QUEUE = "default"

# -- Money --------------------------------------------------------------------------------
CURRENCY = "EUR"
# What buyers in Europe expect; false where tax comes on top of the price at the till.
PRICES_INCLUDE_TAX: bool = env.bool("PRICES_INCLUDE_TAX", default=True)
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", "sk_test_bank")
STRIPE_PUBLISHABLE_KEY = env.str("STRIPE_PUBLISHABLE_KEY", "")
# None: whatever the gateway sends is turned away with 503.
STRIPE_WEBHOOK_SECRETS = webhook_secrets(WAYBILL_DATA)
# Take the money with the order, or only hold it and take it when the first parcel leaves.
CAPTURE_ON_SHIPMENT: bool = env.bool("CAPTURE_ON_SHIPMENT", default=False)
# The bank stand-in while `up` runs it; Stripe itself when empty, and only with a key of one's own.
STRIPE_API_BASE: str = env.str("STRIPE_API_BASE", _up.get("bank_url") or ("http://127.0.0.1:9" if LOCAL else ""))

# -- Mail ---------------------------------------------------------------------------------
_smtp = _up.get("smtp")
vars().update(Env.email_url_config(env.str("EMAIL_URL", f"smtp://{_smtp}" if _smtp else "smtp://127.0.0.1:9")))
EMAIL_TIMEOUT = 10
# A service of django-anymail's (postmark, mailgun, …) instead of SMTP; its keys are ANYMAIL_…, as anymail names them.
# It reports bounces and complaints to /webhooks/mail/NAME/tracking/, with ANYMAIL_WEBHOOK_SECRET as user:password.
MAIL_SERVICE: str = env.str("MAIL_SERVICE", "")
if MAIL_SERVICE:
    EMAIL_BACKEND = f"anymail.backends.{MAIL_SERVICE}.EmailBackend"
    ANYMAIL = anymail_settings()
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", "Waybill <shop@waybill.example>")
# Webhooks may call machines of the own network, on any port. For tests and development: whoever can add an endpoint
# can then make this shop speak to what stands beside it.
WEBHOOKS_TO_PRIVATE: bool = env.bool("WEBHOOKS_TO_PRIVATE", default=False)
# So many webhooks are being called at once: other people's machines must not keep the workers from everything else.
WEBHOOKS_AT_ONCE: int = env.int("WEBHOOKS_AT_ONCE", default=2)
SHIPPING_DEPARTMENT_EMAIL: str = env.str("SHIPPING_DEPARTMENT_EMAIL", "shipping@waybill.example")
OPERATOR_EMAIL: str = env.str("OPERATOR_EMAIL", "operator@waybill.example")

# -- People -------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Django's own: one query and one hash for whatever address, and a disabled account answers as a wrong password does.
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
PASSWORD_RESET_TIMEOUT = 3600
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"signup": "accounts.forms.SignupForm", "reset_password": "accounts.forms.ResetPasswordForm"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True  # and the second factor is asked for all the same
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
# Wrong tries count, right ones do not. "key" is a person at one address (accounts/adapter.py): the wait grows from five
# minutes to a day, and nobody elsewhere has to wait with a stranger who tries.
ACCOUNT_RATE_LIMITS = {
    "login_failed": "10/m/ip,100/h/ip,5/5m/key,10/h/key,20/d/key",
    "login_attacked": "100/h/key",
    "confirm_email": "1/10s/key,4/10m/key",
    "reset_password": "20/m/ip,3/10m/key",
}
# How many proxies stand before us and may say who asks; with a wrong number anybody could say so, or all look like one.
ALLAUTH_TRUSTED_PROXY_COUNT: int = env.int("TRUSTED_PROXY_COUNT", default=0 if LOCAL else 1)
MFA_ADAPTER = "accounts.second_factor.MFAAdapter"
MFA_FORMS = {
    "authenticate": "accounts.second_factor.AuthenticateForm",
    "reauthenticate": "accounts.second_factor.ReauthenticateForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Waybill"
MFA_TOTP_TOLERANCE = 1
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = LOCAL  # browsers allow http://localhost
# Staff use nothing until they have a second factor. Off in a local shop: its one login stands in up.json.
STAFF_NEED_SECOND_FACTOR: bool = env.bool("STAFF_NEED_SECOND_FACTOR", default=not LOCAL)
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"

# -- Browsers -----------------------------------------------------------------------------
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_ENGINE = "accounts.session_store"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
if not LOCAL:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"
# Where browsers find pictures and video: ours, or a cache on another host that asks us for what it lacks.
MEDIA_URL: str = env.str("MEDIA_URL", "/media/")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "img-src": [SELF, "data:", *origin(MEDIA_URL)],
        "media-src": [SELF, *origin(MEDIA_URL)],
        "object-src": [NONE],
        "base-uri": [SELF],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

# -- Words, times, files ------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = None if LOCAL else BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "config" / "static"]
# Empty: a folder in WAYBILL_DATA. Else a bucket: s3://KEY:SECRET@HOST/BUCKET?region=REGION, s3+http:// without TLS.
MEDIA = media_store(env.str("STORAGE_URL", ""), folder=WAYBILL_DATA / "media")
STORAGES = {
    "default": MEDIA,  # copies of people's data, too: whichever machine made one, all can give it out
    "media": MEDIA,
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if LOCAL
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
# Where files are while they are received and decoded: on the same disk as the media, they need not be copied.
UPLOADS_WORK = WAYBILL_DATA / "work"
# Empty: the ffmpeg that comes with the requirements.
FFMPEG_BINARY: str = env.str("FFMPEG_BINARY", "")
# A local shop serves its static files from where they lie: no collectstatic before the first page.
WHITENOISE_USE_FINDERS = LOCAL

# -- The API ------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["notifications.api.reading.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "notifications.api.paging.CursorPages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "notifications.api.problems.problem_response",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS is answered 405: the schema describes everything
    "FORMAT_SUFFIX_KWARG": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Waybill API",
    "DESCRIPTION": "Orders, their side effects, and the events behind them. Money is in minor units: 1290 EUR is 12.90."
    " Every refusal is a problem document (RFC 9457): branch on its `code`, show its `detail`, and quote its"
    " `request_id` when you ask us. Lists come in pages: follow `next`. Version 1 only ever gains fields.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "OrderStatus": "orders.models.Order.Status",
        "DeliveryState": "notifications.models.Delivery.State",
        "RetriedState": ["dead"],
    },
    "AUTHENTICATION_WHITELIST": ["accounts.authentication.ApiKeyAuthentication"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# -- Logs: lines for people in a terminal, JSON for machines ------------------------------
# Where spans go (OpenTelemetry, OTLP over HTTP): http://collector:4318. Empty: nowhere, and nothing is loaded for it.
OTEL_EXPORTER_OTLP_ENDPOINT: str = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", "")
# Where reports of failures go (Sentry, or what speaks as it does). Empty: nowhere, and nothing is loaded for it.
SENTRY_DSN: str = sentry_dsn()
LOG_JSON = env.bool("LOG_JSON", default=not LOCAL)
_shared_processors: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "lines": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer()
            if LOG_JSON
            # Plain: the ornate kind prints every local variable, and with them what nobody should log.
            else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
            "foreign_pre_chain": _shared_processors,
        },
    },
    "filters": {"without_keys": {"()": "notifications.hiding.WithoutKeys"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        # Each of these names the whole address of what it refuses. A filter does not hold for loggers below.
        "django.request": {"filters": ["without_keys"]},
        "django.security.csrf": {"filters": ["without_keys"]},
        "django.server": {"level": "WARNING", "filters": ["without_keys"]},
        "stripe": {"level": "WARNING"},
        # A line or two for each hint would drown what the deliveries say of themselves.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}
structlog.configure(
    processors=[
        *_shared_processors,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
DJANGO_STRUCTLOG_CELERY_ENABLED = False  # a delivery binds its own event's ids
