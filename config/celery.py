"""The Celery application: tasks carry ids only, results are ignored, work is acknowledged late.

A task runs in the schema of whoever sent it (tenant-schemas-celery carries it in a header).
"""

import os

from tenant_schemas_celery.app import CeleryApp

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = CeleryApp("roboblock")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
