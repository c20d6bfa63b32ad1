"""Settings of the platform; everything an operator may change comes from the environment."""

import os
from pathlib import Path

import environ
from django.utils.translation import gettext_lazy as _
from whitenoise.compress import Compressor

from config import embedded
from config.api.description import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from config.schedule import DEMONSTRATION, SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
# Demo mode offers one-click sign-in as each demo person. Without DEBUG it must be asked for by name.
DEMO = env.bool("DEMO", default=DEBUG)
PORT = env.int("PORT", default=embedded.platform_port() or 8000)
PLATFORM_HOST = env("PLATFORM_HOST", default="localhost")
PLATFORM_SCHEME = env("PLATFORM_SCHEME", default="http")
SECRET_KEY = env("SECRET_KEY", default="") or embedded.secret_key()
# Earlier keys, with which sessions and second factors can still be read.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[PLATFORM_HOST, f".{PLATFORM_HOST}"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# Databases and Redis: as given, or this checkout's own servers.

_database_url, _redis_url = embedded.urls()
DATABASES = {
    "default": {
        **environ.Env.db_url_config(_database_url or "postgresql://roboblock@127.0.0.1:1/not-running"),
        "ENGINE": "config.database",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
REDIS_URL = _redis_url or "redis://127.0.0.1:1/0"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_FUNCTION": "django_tenants.cache.make_key",
    }
}

# Applications: federation speaks for the platform, the rest belongs to each institution.

SHARED_APPS = [
    # Before django_tenants, since its migrate_schemas takes the place of that one's.
    "federation",
    "django_tenants",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "django_htmx",
    "django_tables2",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "config",
]
TENANT_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "accounts.apps.AdminConfig",
    "guardian",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "accounts",
    "clients",
    "portfolios",
    "models_portfolio",
    "trading",
    "reporting",
]
INSTALLED_APPS = [*SHARED_APPS, *[app for app in TENANT_APPS if app not in SHARED_APPS]]
TENANT_MODEL = "federation.Institution"
TENANT_DOMAIN_MODEL = "federation.Domain"
SHOW_PUBLIC_IF_NO_TENANT_FOUND = True
ROOT_URLCONF = "config.urls"
PUBLIC_SCHEMA_URLCONF = "config.urls_public"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Which party performs a function for a mandate; without it, the institution does everything itself.
DUTIES_RESOLVER = "federation.duties.performed_here"
# Who is on the other side of an agreement, and what a mandate discloses to it.
PARTNERS_RESOLVER = "federation.partners.partners"
# The short names of the institutions that own received rows.
ORIGIN_NAMES_RESOLVER = "federation.institutions.origin_names"
# Since when nothing of such an institution arrives.
ORIGIN_HELD_BACK_RESOLVER = "federation.institutions.held_back_since"
# What these call differently of the securities that both know.
SECURITY_DIFFERENCES_RESOLVER = "federation.reference_differences.called_differently"
# The URL of the page where a person's day starts.
FIRST_PAGE_RESOLVER = "config.navigation.first_page"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Static files are everybody's: which institution is asked for them nobody needs to look up.
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "federation.middleware.TenantMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "accounts.middleware.ContentSecurityPolicyMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.middleware.PartMessagesMiddleware",
    "accounts.middleware.PreferencesMiddleware",
    "accounts.middleware.DomainErrorMiddleware",
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
                "config.navigation.navigation",
            ],
            "builtins": ["config.formatting", "django.templatetags.i18n", "django.templatetags.static"],
        },
    }
]
FORM_RENDERER = "config.widgets.Renderer"

# People

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "guardian.backends.ObjectPermissionBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
GUARDIAN_RAISE_403 = False
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "accounts.sign_in.LoginForm",
    "reauthenticate": "accounts.sign_in.ReauthenticateForm",
    "change_password": "accounts.sign_in.ChangePasswordForm",
    "reset_password": "accounts.sign_in.ResetPasswordForm",
    "reset_password_from_key": "accounts.sign_in.ResetPasswordKeyForm",
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
# The same for the limits on signing in.
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("PROXIES", default=0)
ACCOUNT_PREVENT_ENUMERATION = True
# Whoever is not known here gets no mail from here.
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
# Addresses come from administrators and are proven by the invitation's link.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "Roboblock"
MFA_ADAPTER = "accounts.second_factor.MFAAdapter"

# Language, numbers, time

LANGUAGE_CODE = "en"
# Texts are in English, whatever a browser asks for: words of libraries in another language would stand
# between English ones. How dates and numbers are written is each user's choice (`User.Writing`).
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
FORMAT_MODULE_PATH = ["config.formats"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# Static files and mail

STATIC_URL = "/static/"
STATIC_ROOT = embedded.data_folder() / "static"
STATICFILES_DIRS = [BASE_DIR / "config" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": env(
            "STATICFILES_BACKEND", default="whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}
WHITENOISE_USE_FINDERS = DEBUG
# Who asks for a map of the sources debugs, and half of all bytes are theirs.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")
EMAIL_BACKEND = env("EMAIL_BACKEND", default="django.core.mail.backends.filebased.EmailBackend")
EMAIL_HOST = env("EMAIL_HOST", default="localhost")
EMAIL_PORT = env.int("EMAIL_PORT", default=25)
EMAIL_HOST_USER = env("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", default=False)
# A mail server that does not answer is tried again later.
EMAIL_TIMEOUT = 10
EMAIL_FILE_PATH = embedded.data_folder() / "mail"
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default="Roboblock <no-reply@localhost>")

# Celery carries hints and ids, never data.

CELERY_BROKER_URL = embedded.celery_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 120
CELERY_TASK_SOFT_TIME_LIMIT = 60
CELERY_TASK_DEFAULT_QUEUE = "work"
# A load of one institution must not hold up another's edit: it has workers of its own.
CELERY_TASK_ROUTES = {
    "federation.tasks.apply_load": {"queue": "load"},
    "federation.tasks.deliver_many": {"queue": "load"},
    "federation.tasks.in_*": {"queue": "work"},
    "federation.tasks.go_on": {"queue": "work"},
    "federation.tasks.watch_streams": {"queue": "work"},
    "federation.tasks.trim_logs": {"queue": "work"},
    "federation.tasks.*": {"queue": "mirror"},
}
# A worker that has grown is replaced once its task is done.
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 400_000
CELERY_TASK_CREATE_MISSING_QUEUES = True
# Celery would close connections after so many tasks; CONN_MAX_AGE and config.celery see to it.
CELERY_DB_REUSE_MAX = 1_000_000
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 300}
CELERY_TIMEZONE = "UTC"
# Nobody who reaches Redis may have a worker run what it unpacks.
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Seconds between the parts of a fill by the paper broker, so that people can watch it.
PAPER_BROKER_DELAY = env.int("PAPER_BROKER_DELAY", default=2)
CELERY_BEAT_SCHEDULE_FILENAME = str(embedded.data_folder() / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {**SCHEDULE, **(DEMONSTRATION if DEMO else {})}

# Who may read the platform's metrics; without it there are none.
METRICS_TOKEN = env("METRICS_TOKEN", default="")

# REST API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "config.api.authentication.UserTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["config.api.authentication.IsUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.api.parsers.JsonParser"],
    "DEFAULT_PAGINATION_CLASS": "accounts.pagination.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["config.api.unknown.Filters"],
    "DEFAULT_SCHEMA_CLASS": "config.api.schema.Schema",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env("API_RATE_ANONYMOUS", default="60/min"),
        "user": env("API_RATE_USER", default="1200/min"),
    },
    # Proxies in front of the platform. Without any, a caller's own X-Forwarded-For must not count.
    "NUM_PROXIES": env.int("PROXIES", default=0),
    "EXCEPTION_HANDLER": "config.api.problems.handle",
    "COERCE_DECIMAL_TO_STRING": True,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

# Security

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
_secure = PLATFORM_SCHEME == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _secure
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _secure else None
SECURE_HSTS_SECONDS = 31_536_000 if _secure else 0

DJANGO_TABLES2_TEMPLATE = "components/table.html"
FILTERS_EMPTY_CHOICE_LABEL = _("All")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"without_values": {"()": "accounts.logs.WithoutValues"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["without_values"]}
    },
    # In place of Django's own handler, which writes the same once more.
    "loggers": {"django": {"level": "INFO"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", default="INFO")},
}
os.environ.setdefault("PGAPPNAME", "roboblock")
