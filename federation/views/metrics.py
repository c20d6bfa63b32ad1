"""Metrics for Prometheus, on the platform's own host and for the holder of its token alone."""

import hashlib
import hmac

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST

from federation.monitor import metrics as mirrors


@never_cache
@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics; without the setting METRICS_TOKEN, or on another host, there is no such page."""
    host = request.get_host().rpartition(":")[0] or request.get_host()
    if not settings.METRICS_TOKEN.strip() or host != settings.PLATFORM_HOST:
        raise Http404
    scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(given), _digest(settings.METRICS_TOKEN)):
        response = HttpResponse("A bearer token is needed.\n", status=401, content_type="text/plain")
        response["WWW-Authenticate"] = "Bearer"
        return response
    return HttpResponse(mirrors.text(), content_type=CONTENT_TYPE_LATEST)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.strip().encode()).digest()
