"""The Celery application: tasks carry ids only, results are ignored, work is acknowledged late."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("roboblock")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
