"""Say what is wrong in one form: ``application/problem+json`` (RFC 9457), with a code and what to do."""

import logging
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as ModelValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import defaults
from rest_framework import exceptions, serializers, status
from rest_framework.views import APIView, set_rollback

from accounts.errors import DomainError, refusal_of

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
TYPES = "urn:roboblock:problem:"
_TITLES = {
    400: gettext_lazy("The request cannot be read"),
    401: gettext_lazy("Sign in or send a token"),
    403: gettext_lazy("Not allowed"),
    404: gettext_lazy("Not found"),
    405: gettext_lazy("Not possible here"),
    406: gettext_lazy("No such format"),
    409: gettext_lazy("Not possible now"),
    415: gettext_lazy("Not the right format"),
    422: gettext_lazy("Something has to be corrected"),
    429: gettext_lazy("Too many requests"),
    500: gettext_lazy("Something went wrong"),
}
_REMEDIES = {
    "required": gettext_lazy("Send this field."),
    "null": gettext_lazy("Send a value."),
    "blank": gettext_lazy("Send a text that is not empty."),
    "invalid_choice": gettext_lazy("Send one of the values that the documentation lists."),
    "does_not_exist": gettext_lazy("Send the id of a record that you can read."),
    "unique": gettext_lazy("Send another value."),
    "max_length": gettext_lazy("Send a shorter text."),
    "unknown": gettext_lazy("Leave it out, or write it as the documentation does."),
    "invalid": gettext_lazy("Send a value of the documented form."),
}


class FieldProblem(serializers.Serializer):
    """What is wrong with one field of the request, and what to do about it."""

    field = serializers.CharField(help_text="Where it stands, such as `parties[0].name`.")
    code = serializers.CharField()
    message = serializers.CharField()
    remedy = serializers.CharField()


class Problem(serializers.Serializer):
    """What went wrong (RFC 9457)."""

    type = serializers.CharField(help_text="A URN that ends in the code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="Stable; decide by this.")
    instance = serializers.CharField(help_text="The path that was asked for.")
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]
    data = serializers.DictField(  # type: ignore[assignment]
        required=False, help_text="Figures that belong to the code."
    )


def problem(code: str, http_status: int, detail: str, path: str, **more: Any) -> dict[str, Any]:
    """Return a problem as JSON; empty ``more`` is left out."""
    return {
        "type": f"{TYPES}{code}",
        "title": str(_TITLES.get(http_status, _("Not possible"))),
        "status": http_status,
        "detail": detail,
        "code": code,
        "instance": path,
    } | {key: value for key, value in more.items() if value}


def handle(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Answer an exception of the API with a problem, whatever format was asked for; None lets an unexpected one through."""
    path = context["request"].path
    headers: dict[str, str] = {}
    refusal = refusal_of(exc)
    if refusal is not None:
        if refusal is not exc:
            logger.warning("Refused: %s", path, exc_info=exc)
        body = _refused(refusal, path)
    else:
        known = _known(exc)
        if known is None:
            return None
        body = (
            _invalid(known, path) if isinstance(known, exceptions.ValidationError) else _failed(known, path)
        )
        if challenge := getattr(known, "auth_header", None):
            headers["WWW-Authenticate"] = challenge
        if wait := getattr(known, "wait", None):
            headers["Retry-After"] = str(int(wait) + 1)
    set_rollback()
    return _answer(body, headers)


def _answer(body: dict[str, Any], headers: dict[str, str] | None = None) -> JsonResponse:
    return JsonResponse(
        body,
        status=body["status"],
        headers=headers,
        content_type=MEDIA_TYPE,
        json_dumps_params={"ensure_ascii": False},
    )


def _known(exc: Exception) -> exceptions.APIException | None:
    if isinstance(exc, Http404):
        return exceptions.NotFound()
    if isinstance(exc, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(exc, ModelValidationError):
        return exceptions.ValidationError(serializers.as_serializer_error(exc))
    return exc if isinstance(exc, exceptions.APIException) else None


def _refused(error: DomainError, path: str) -> dict[str, Any]:
    message = str(error.message)
    errors = []
    if error.field:
        errors = [{"field": error.field, "code": error.code, "message": message, "remedy": message}]
    http_status = status.HTTP_422_UNPROCESSABLE_ENTITY if error.field else status.HTTP_409_CONFLICT
    return problem(error.code, http_status, message, path, errors=errors, data=error.data)


def _invalid(error: exceptions.ValidationError, path: str) -> dict[str, Any]:
    errors = list(_flat(error.detail, ""))
    names = ", ".join(dict.fromkeys(each["field"] for each in errors if each["field"]))
    detail = _("Correct and send again: %(fields)s.") % {"fields": names or _("the request")}
    return problem("invalid", status.HTTP_422_UNPROCESSABLE_ENTITY, detail, path, errors=errors)


def _flat(detail: Any, field: str) -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flat(inner, _inside(field, name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            is_nested = isinstance(inner, dict | list)
            yield from _flat(inner, f"{field}[{index}]" if is_nested else field)
    else:
        code = getattr(detail, "code", "invalid")
        remedy = str(_REMEDIES.get(code, _REMEDIES["invalid"]))
        yield {"field": field, "code": code, "message": str(detail), "remedy": remedy}


def _inside(field: str, name: Any) -> str:
    if name == "non_field_errors":
        return field
    if isinstance(name, int):
        return f"{field}[{name}]"
    return f"{field}.{name}" if field else str(name)


def _failed(error: exceptions.APIException, path: str) -> dict[str, Any]:
    detail = error.detail
    code = str(getattr(detail, "code", error.default_code))
    return problem(code, error.status_code, str(detail), path)


class Nothing(APIView):
    """Answer for paths that do not exist."""

    authentication_classes = ()
    permission_classes = ()
    schema = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        body = problem(
            "not_found",
            404,
            _("There is nothing at this path. See the documentation at /api/v1/docs/."),
            request.path,
        )
        return _answer(body)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an unexpected error: the API with a problem, pages with a page."""
    if not request.path.startswith("/api/"):
        return defaults.server_error(request)
    body = problem(
        "server_error",
        500,
        _("This should not have happened. Try again; if it stays so, tell us."),
        request.path,
    )
    return _answer(body)
