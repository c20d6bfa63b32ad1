"""Agreements of this institution and the streams of its mirrors, for its administrators."""

from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from rest_framework import serializers

from config.api.base import Listed, UtcField
from federation.models import Agreement, AgreementVersion, Institution, Stream


class InstitutionName(serializers.ModelSerializer):
    """A party by its name."""

    class Meta:
        model = Institution
        fields = ("id", "name", "short_name")
        read_only_fields = fields


class VersionInForce(serializers.ModelSerializer):
    """One wording of an agreement: which side performs each function, and what is left out."""

    state = serializers.CharField(read_only=True)
    proposed_at = UtcField(read_only=True)
    in_force_from = UtcField(read_only=True)
    in_force_to = UtcField(read_only=True)

    class Meta:
        model = AgreementVersion
        fields = (
            "id", "number", "state", "division", "private", "withheld", "terms", "retention_years", "proposed_at",
            "in_force_from", "in_force_to",
        )  # fmt: skip
        read_only_fields = fields


class AgreementSerializer(serializers.ModelSerializer):
    """An agreement with both parties and all versions that were proposed."""

    manager = InstitutionName(read_only=True)
    channel = InstitutionName(read_only=True)
    versions = VersionInForce(many=True, read_only=True)
    is_live = serializers.BooleanField(read_only=True)
    started_at = UtcField(read_only=True)
    ended_at = UtcField(read_only=True)
    suspended_at = UtcField(read_only=True)
    new_mandates_suspended_at = UtcField(read_only=True)

    class Meta:
        model = Agreement
        fields = (
            "id", "name", "preset", "state", "is_live", "manager", "channel", "version", "new_mandates_suspended_at",
            "suspended_at", "started_at", "ended_at", "versions",
        )  # fmt: skip
        read_only_fields = fields


class StreamSerializer(serializers.ModelSerializer):
    """One direction of one agreement: how far the owner's records have come to the receiver."""

    owner = InstitutionName(read_only=True)
    receiver = InstitutionName(read_only=True)
    last_tick_at = UtcField(read_only=True)
    last_applied_at = UtcField(read_only=True)
    problem_at = UtcField(read_only=True)

    class Meta:
        model = Stream
        fields = (
            "id", "agreement", "owner", "receiver", "state", "fill_total", "fill_done", "rows_written", "batches",
            "last_tick_at", "last_applied_at", "last_duration_ms", "problem", "problem_at", "attempts",
        )  # fmt: skip
        read_only_fields = fields


class Agreements(Listed):
    """Agreements to which this institution is a party."""

    right = ("agreement.edit", "agreement.read")
    queryset = Agreement.objects.select_related("manager", "channel")
    serializer_class = AgreementSerializer
    filterset_fields = ("state", "preset")
    orderings = ("-created_at", "id", "name")

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        institution: Institution = self.request.tenant  # type: ignore[attr-defined]
        versions = AgreementVersion.objects.visible_to(institution)
        mine = queryset.visible_to(institution)  # type: ignore[attr-defined]
        return mine.prefetch_related(Prefetch("versions", versions))


class Streams(Listed):
    """The mirrors to and from this institution."""

    right = ("mirror.control",)
    queryset = Stream.objects.select_related("owner", "receiver")
    serializer_class = StreamSerializer
    filterset_fields = ("agreement", "state")
    orderings = ("-created_at", "id")

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        institution: Institution = self.request.tenant  # type: ignore[attr-defined]
        return queryset.filter(Q(owner=institution) | Q(receiver=institution))
