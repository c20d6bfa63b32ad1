"""Serve the platform over WSGI."""

import logging
import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
# gunicorn writes its logs itself.
from accounts.logs import WithoutValues  # noqa: E402

for _name in ("gunicorn.error", "gunicorn.access"):
    logging.getLogger(_name).addFilter(WithoutValues())
# With them come all pages: more than a second that the first request to each process would wait for.
for _urls in (settings.PUBLIC_SCHEMA_URLCONF, settings.ROOT_URLCONF):
    import_module(_urls)
