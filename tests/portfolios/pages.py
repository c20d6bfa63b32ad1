"""Ask for pages of portfolios by name."""

from typing import Any

from django.http import HttpResponse
from django.test import Client as Browser
from django.urls import reverse


def get(client: Browser, name: str, *args: Any, **parameters: Any) -> HttpResponse:
    """Return the answer to a page of portfolios, with parameters in its URL."""
    return client.get(reverse(f"portfolios:{name}", args=args), parameters)
