"""Names that nobody knows are refused: a filter that is passed over answers for more than was asked for."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import exceptions, serializers
from rest_framework.request import Request

_LIST_NAMES = ("page_size", "cursor", "ordering")
UNKNOWN = "unknown"
_LONGEST = 40


def _refusal(known: Iterable[str]) -> list[exceptions.ErrorDetail]:
    names = ", ".join(known)
    words = _("Nobody knows this name. There is: %(names)s.") % {"names": names}
    return [exceptions.ErrorDetail(words if names else _("Nothing is taken here."), UNKNOWN)]


class Filters(DjangoFilterBackend):
    """The filters of a list; the query of its address names them and how to page, and nothing else."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """Return the rows that the filters leave; raise ValidationError for a name that is none of theirs."""
        if getattr(view, "action", "list") == "list":
            filterset = self.get_filterset_class(view, queryset)
            known = [*(filterset.base_filters if filterset else ()), *_LIST_NAMES]
            wrong = sorted(set(request.query_params) - set(known))
            if wrong:
                raise exceptions.ValidationError({name[:_LONGEST]: _refusal(known) for name in wrong})
        rows: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return rows


def refuse_unknown(body: serializers.BaseSerializer[Any], data: Any) -> None:
    """Raise ValidationError for what a request's body names and ``body`` has no field for."""
    errors = _unknown(body, data)
    if errors:
        raise exceptions.ValidationError(errors)


def _unknown(field: Any, data: Any) -> Any:
    """Return what is unknown in the form of a serializer's errors; nothing where all is known."""
    if isinstance(field, serializers.ListSerializer) and isinstance(data, list):
        found = [_unknown(field.child, each) or {} for each in data]
        return found if any(found) else None
    if not isinstance(field, serializers.Serializer) or not isinstance(data, Mapping):
        return None
    known = {name: each for name, each in field.fields.items() if not each.read_only}
    errors = {str(name)[:_LONGEST]: _refusal(known) for name in data if name not in known}
    for name, each in known.items():
        if name in data and (inner := _unknown(each, data[name])):
            errors[name] = inner
    return errors
