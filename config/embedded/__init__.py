"""This checkout's own PostgreSQL and Redis, for when no DATABASE_URL and REDIS_URL are given."""

from config.embedded.paths import EmbeddedError, data_folder, secret_key
from config.embedded.redis import celery_url
from config.embedded.servers import Servers, ensure, platform_port, stop_leftovers, urls

__all__ = [
    "EmbeddedError",
    "Servers",
    "celery_url",
    "data_folder",
    "ensure",
    "platform_port",
    "secret_key",
    "stop_leftovers",
    "urls",
]
