"""Do a thing once, however often it is asked for: ``Idempotency-Key`` (IETF draft of that name)."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import DomainError
from accounts.models import ApiRequest, ApiToken, User
from accounts.tasks import REQUESTS_KEPT_FOR

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LONGEST = 100

PARAMETER = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description="Your own name for this request. Sent again within 24 hours, it gets the same answer and changes nothing.",
    required=False,
    examples=[],
)


def once(request: Request, act: Callable[[], Response]) -> Response:
    """Return what ``act`` answers; for a key that came before, what it answered then.

    The key is kept in the transaction of the change: where that is refused nothing is kept, and a
    request that comes while the first is at work waits for it. Raises DomainError for a key that
    came with another request.
    """
    key = request.headers.get(HEADER, "")
    if not key:
        with transaction.atomic():
            return act()
    if len(key) > LONGEST or not key.isprintable():
        raise DomainError("idempotency_key", _("A key has up to 100 printable characters."), field=HEADER)
    user = request.user
    assert isinstance(user, User)
    token = request.auth if isinstance(request.auth, ApiToken) else None
    fingerprint = _fingerprint(request)
    with transaction.atomic():
        mine = ApiRequest.objects.filter(user=user, token=token, key=key)
        mine.filter(created_at__lt=timezone.now() - REQUESTS_KEPT_FOR).delete()
        # Waits for whoever is inserting the same key now.
        ApiRequest.objects.bulk_create(
            [ApiRequest(user=user, token=token, key=key, fingerprint=fingerprint)], ignore_conflicts=True
        )
        known = mine.select_for_update().get()
        if known.fingerprint != fingerprint:
            raise DomainError(
                "idempotency_key_reused",
                _("This key came with another request before. Use a new one."),
                field=HEADER,
            )
        if known.status is not None:
            return Response(known.body, status=known.status, headers={REPLAYED: "true"})
        response = act()
        known.status, known.body = response.status_code, _plain(response.data)
        known.save(update_fields=["status", "body"])
        return response


def _fingerprint(request: Request) -> str:
    said = json.dumps([request.method, request.path, request.data], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()


def _plain(data: Any) -> Any:
    return json.loads(json.dumps(data, default=str))
