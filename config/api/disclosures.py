"""The disclosure log: what of which client reached whom, since when, on whose authority, until when."""

import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from clients.models import Mandate
from config.api.base import Listed, UtcField
from federation.disclosure import Disclosure
from federation.disclosure_log import log_of
from federation.wording import UNTIL


class SharedSerializer(serializers.Serializer):
    """A kind of record with its fields, in words."""

    kind = serializers.CharField()
    fields = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]


class ConsentSerializer(serializers.Serializer):
    """A party's acceptance of the version."""

    institution = serializers.CharField()
    name = serializers.CharField()
    at = UtcField()


class IntervalSerializer(serializers.Serializer):
    """From an instant until another one; null while it goes on."""

    since = UtcField()
    until = UtcField(allow_null=True)


class KeptSerializer(serializers.Serializer):
    """What the partner keeps after the end; ``until`` is null as long as a hold is not lifted."""

    shared = SharedSerializer(many=True)
    until = serializers.DateField(allow_null=True)
    is_held = serializers.BooleanField()


class DisclosureSerializer(serializers.Serializer):
    """What reached a partner under one version of an agreement, and on whose authority.

    ``until`` is null while it goes on, for the reason in ``why``; in ``interruptions`` nothing new crossed.
    """

    agreement = serializers.UUIDField()
    agreement_name = serializers.CharField()
    partner = serializers.CharField()
    version = serializers.IntegerField()
    shared = SharedSerializer(many=True)
    since = UtcField()
    until = UtcField(allow_null=True)
    why = serializers.ChoiceField(choices=[(key.value, words) for key, words in UNTIL.items()])
    interruptions = serializers.SerializerMethodField()
    text_version = serializers.CharField()
    authorised_on = serializers.DateField(allow_null=True)
    consents = ConsentSerializer(many=True)
    kept = KeptSerializer(allow_null=True)
    erased_at = UtcField(allow_null=True)

    @extend_schema_field(IntervalSerializer(many=True))
    def get_interruptions(self, disclosure: Disclosure) -> Any:
        rows = [{"since": since, "until": until} for since, until in disclosure.interruptions]
        return IntervalSerializer(rows, many=True).data


class DisclosedMandateSerializer(serializers.ModelSerializer):
    """A mandate that was submitted under an agreement, with what was disclosed of it, newest first."""

    client_name = serializers.CharField(source="client.name", read_only=True)
    disclosures = serializers.SerializerMethodField()

    class Meta:
        model = Mandate
        fields = read_only_fields = ("id", "number", "client", "client_name", "disclosures")

    @extend_schema_field(DisclosureSerializer(many=True))
    def get_disclosures(self, mandate: Mandate) -> Any:
        """Return what was disclosed of a mandate; the log of a whole page is read at once."""
        known: dict[uuid.UUID, list[Disclosure]] | None = self.__dict__.get("_disclosures")
        if known is None:
            known = self.__dict__["_disclosures"] = {}
            page: Any = self.parent.instance if self.parent is not None else [mandate]
            rows = Mandate.objects.filter(pk__in=[each.pk for each in page])
            for each in log_of(self.context["request"].tenant, rows):
                known.setdefault(each.mandate, []).append(each)
        return DisclosureSerializer(known.get(mandate.pk, []), many=True).data


class DisclosureFilter(django_filters.FilterSet):
    """Narrow the log down."""

    client = django_filters.UUIDFilter(field_name="client_id")
    agreement = django_filters.UUIDFilter()

    class Meta:
        model = Mandate
        fields = ("number",)


class Disclosures(Listed):
    """The disclosure log, by mandate: the mandates within reach."""

    queryset = Mandate.objects.filter(submitted_at__isnull=False, agreement__isnull=False).select_related(
        "client"
    )
    serializer_class = DisclosedMandateSerializer
    filterset_class = DisclosureFilter
    orderings = ("-submitted_at", "id")

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return super().narrow(queryset).filter(client__isnull=False, client__retired_at=None)
