"""Settings, URLs, Celery and the embedded services of the platform."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
