"""What the tests of pages share."""

from typing import Any

from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse


def url_of(name: str, *args: Any) -> str:
    """Return the URL of a page."""
    return reverse(name, args=args)


def queries_of(browser: Browser, url: str) -> int:
    """Return how many queries a page takes once it is warm."""
    browser.get(url)
    with CaptureQueriesContext(connection) as captured:
        assert browser.get(url).status_code == 200
    return len(captured)
