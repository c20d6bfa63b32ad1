"""What all resources of the API have in common."""

import datetime
import uuid
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import django_filters
from django.db.models import DateTimeField, Model, QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import exceptions, mixins, serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import DomainError
from accounts.models import User, audit_listing, audit_reading
from accounts.origins import origin_name
from accounts.records import Record
from accounts.rights import can
from accounts.views_base import Unkept, admits
from config.api.idempotency import REPLAYED, once
from config.api.unknown import refuse_unknown
from portfolios.models import Security


class UtcField(serializers.DateTimeField):
    """An instant, always in UTC, whoever asks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"default_timezone": datetime.UTC, **kwargs})


class Owner(serializers.Serializer):
    """The institution that owns a received record."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class RecordSerializer(serializers.ModelSerializer):
    """A record: its id is the same at every institution that has it; ``origin`` is null for an own one."""

    serializer_field_mapping: ClassVar = {
        **serializers.ModelSerializer.serializer_field_mapping,
        DateTimeField: UtcField,
    }

    origin = serializers.SerializerMethodField(help_text="Who owns it; null where this institution does.")

    @extend_schema_field(Owner(allow_null=True))
    def get_origin(self, record: Any) -> dict[str, str] | None:
        if record.origin is None:
            return None
        return {"id": str(record.origin), "name": origin_name(record.origin)}


class SecurityName(serializers.ModelSerializer):
    """A security as it is recognised."""

    class Meta:
        model = Security
        fields = ("id", "isin", "name")
        read_only_fields = fields


def shown(names: str) -> tuple[str, ...]:
    """Return the fields of a record that a serializer shows, read only: id and origin, then ``names``."""
    return ("id", "origin", *names.split())


class Resource(Unkept, viewsets.GenericViewSet):
    """A resource whose rows are those that the user may see; what is not theirs does not exist.

    ``right`` names rights of which one is needed to see that the resource is there at all; ``roles`` names
    roles to which it is there without.
    """

    lookup_value_converter = "uuid"
    right: ClassVar[tuple[str, ...]] = ()
    roles: ClassVar[Iterable[str]] = ()
    # Rights by action, for what writes.
    rights: ClassVar[dict[str, str]] = {}
    orderings: ClassVar[tuple[str, ...]] = ("-id",)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not admits(self.person, self.right, self.roles):
            raise Http404
        needed = self.rights.get(self.action or "")
        if needed and not can(self.person, needed):
            raise exceptions.PermissionDenied(
                _("This takes the right “%(right)s”. Ask an administrator.") % {"right": needed}
            )

    @property
    def person(self) -> User:
        """Return the user who asks."""
        user = self.request.user
        assert isinstance(user, User)
        return user

    @property
    def is_described(self) -> bool:
        """Say whether the view only stands in for its own documentation."""
        return getattr(self, "swagger_fake_view", False)

    def get_queryset(self) -> QuerySet[Any]:
        queryset = super().get_queryset()
        if self.is_described:
            return queryset.none()
        return self.narrow(queryset)

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that the user may see, for what writes those that the user may write to."""
        needed = self.rights.get(self.action or "")
        if needed:
            return queryset.with_right(self.person, needed)  # type: ignore[attr-defined]
        return queryset.visible_to(self.person)  # type: ignore[attr-defined]

    def write(self, act: Callable[[dict[str, Any]], Model], *, status: int, then: Any) -> Response:
        """Check the request's body, act on it once, and answer with the record as it is then.

        ``then`` is the serializer of the answer. What was answered before is answered again as long as the user may
        still do it to the record.
        """
        answer = once(self.request, lambda: self._written(act, status, then))
        if REPLAYED in answer.headers and not self.get_queryset().filter(pk=answer.data["id"]).exists():
            raise Http404
        return answer

    def _written(self, act: Callable[[dict[str, Any]], Model], status: int, then: Any) -> Response:
        body = self.get_serializer(data=self.request.data)
        refuse_unknown(body, self.request.data)
        body.is_valid(raise_exception=True)
        record = act(body.validated_data)
        fresh = self.get_queryset().get(pk=record.pk)
        return Response(then(fresh, context=self.get_serializer_context()).data, status=status)


class Listed(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """A resource that is read: a list and each of its rows.

    Who reads a partner's rows is written down, except where ``is_reference``: prices and the like.
    """

    is_reference: ClassVar[bool] = False

    def paginate_queryset(self, queryset: Any) -> Any:
        rows = super().paginate_queryset(queryset)
        if not self.is_reference:
            audit_listing(rows or [], by=self.person)
        return rows

    def get_object(self) -> Any:
        row = super().get_object()
        if self.action == "retrieve" and isinstance(row, Record) and not self.is_reference:
            audit_reading(row, by=self.person)
        return row


class ClientFilter(django_filters.UUIDFilter):
    """Narrow rows down to those of a client, by the path to the mandate; what is kept of one who is gone finds none."""

    def __init__(self, mandate: str) -> None:
        super().__init__(field_name=f"{mandate}__client_id")
        self.retired_at = f"{mandate}__client__retired_at"

    def filter(self, qs: QuerySet[Any], value: uuid.UUID | None) -> QuerySet[Any]:
        """Return the rows of the client."""
        rows: QuerySet[Any] = super().filter(qs, value)
        return rows if value is None else rows.filter(**{self.retired_at: None})


class Empty(serializers.Serializer):
    """Nothing has to be sent."""


def find(rows: QuerySet[Any], key: uuid.UUID | None, field: str) -> Any:
    """Return the row with this id, or None for no id; what the user may not see does not exist."""
    if key is None:
        return None
    row = rows.filter(pk=key).first()
    if row is None:
        message = _("There is no such record within your reach.")
        raise exceptions.ValidationError({field: [exceptions.ErrorDetail(message, "does_not_exist")]})
    return row


def refuse(code: str, message: Any, *, data: Iterable[Any] = ()) -> DomainError:
    """Return an error with ids of what stands in the way."""
    return DomainError(code, message, data={"ids": [str(each) for each in data]})
