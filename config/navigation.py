"""The navigation of each role."""

from typing import Any

from django.http import HttpRequest


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Give templates the navigation of the user who is signed in."""
    return {}
