"""Agreements of this institution and the streams of its mirrors, for its administrators."""

from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.api.base import Listed, UtcField
from federation.mirror import figures
from federation.mirror.status import StreamStatus, statuses, streams
from federation.models import Agreement, AgreementVersion, Institution, Proof, Stream


class InstitutionName(serializers.ModelSerializer):
    """A party by its name."""

    class Meta:
        model = Institution
        fields = ("id", "name", "short_name")
        read_only_fields = fields


class VersionInForce(serializers.ModelSerializer):
    """One wording of an agreement: which side performs each function, and what is left out."""

    state = serializers.CharField(read_only=True)
    proposed_at = UtcField(read_only=True, allow_null=True)
    in_force_from = UtcField(read_only=True, allow_null=True)
    in_force_to = UtcField(read_only=True, allow_null=True)

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
    started_at = UtcField(read_only=True, allow_null=True)
    ended_at = UtcField(read_only=True, allow_null=True)
    suspended_at = UtcField(read_only=True, allow_null=True)
    new_mandates_suspended_at = UtcField(read_only=True, allow_null=True)

    class Meta:
        model = Agreement
        fields = (
            "id", "name", "preset", "state", "is_live", "manager", "channel", "version", "new_mandates_suspended_at",
            "suspended_at", "started_at", "ended_at", "versions",
        )  # fmt: skip
        read_only_fields = fields


class LastProof(serializers.ModelSerializer):
    """The last comparison of both sides of a stream."""

    at = UtcField(read_only=True)
    rows = serializers.IntegerField(read_only=True)
    pending = serializers.SerializerMethodField()

    class Meta:
        model = Proof
        fields = ("id", "result", "at", "rows", "pending", "kinds")
        read_only_fields = fields

    def get_pending(self, proof: Proof) -> int | None:
        """Return how many changes of all clients waited meanwhile; null but for the owner, whose log it is."""
        return proof.pending if self.context["is_outgoing"] else None


class StreamSerializer(serializers.ModelSerializer):
    """One direction of one agreement: how far the owner's records have come to the receiver.

    ``pending_rows`` have changed and not crossed, the oldest ``oldest_age_seconds`` ago; to the receiver,
    the oldest that the agreement shares. The times are those of the last hour's changes from statement to
    appearance, in milliseconds.
    """

    standing = serializers.SerializerMethodField()
    pending_rows = serializers.SerializerMethodField()
    oldest_age_seconds = serializers.SerializerMethodField()
    parked_rows = serializers.IntegerField(source="parked_count", read_only=True)
    skipped_rows = serializers.IntegerField(source="skipped_count", read_only=True)
    p50_ms = serializers.SerializerMethodField()
    p95_ms = serializers.SerializerMethodField()
    p99_ms = serializers.SerializerMethodField()
    last_proof = serializers.SerializerMethodField()
    owner = InstitutionName(read_only=True)
    receiver = InstitutionName(read_only=True)
    last_tick_at = serializers.SerializerMethodField()
    last_duration_ms = serializers.SerializerMethodField()
    last_applied_at = UtcField(read_only=True, allow_null=True)
    problem_at = UtcField(read_only=True, allow_null=True)

    class Meta:
        model = Stream
        fields = (
            "id", "agreement", "owner", "receiver", "state", "standing", "fill_total", "fill_done", "rows_written",
            "batches", "last_tick_at", "last_applied_at", "last_duration_ms", "problem", "problem_at", "attempts",
            "pending_rows", "oldest_age_seconds", "parked_rows", "skipped_rows", "p50_ms", "p95_ms", "p99_ms",
            "last_proof",
        )  # fmt: skip
        read_only_fields = fields

    def _status(self, stream: Stream) -> StreamStatus:
        """Return the state of a stream; those of a whole page are read together."""
        known: dict[Any, StreamStatus] = self.__dict__.setdefault("_statuses", {})
        if stream.pk not in known:
            page: Any = self.parent.instance if self.parent is not None else [stream]
            known.update({each.pk: each for each in statuses(page, self.context["request"].tenant)})
        return known[stream.pk]

    def get_standing(self, stream: Stream) -> str:
        """Return in_step, parked (in step but for parked rows), behind, waiting, filling, suspended, broken or ended."""
        return self._status(stream).state

    def get_pending_rows(self, stream: Stream) -> int | None:
        """Return how many changes wait in the log, of all clients; null but for the owner, whose log it is."""
        return self._status(stream).pending

    @extend_schema_field(UtcField(allow_null=True))
    def get_last_tick_at(self, stream: Stream) -> str | None:
        """Return when the owner's log was last looked at; null but for the owner."""
        at = self._status(stream).last_tick_at
        return UtcField().to_representation(at) if at else None

    def get_last_duration_ms(self, stream: Stream) -> float | None:
        """Return how long that took, in milliseconds; null but for the owner."""
        return stream.last_duration_ms if self._status(stream).is_outgoing else None

    def get_oldest_age_seconds(self, stream: Stream) -> float | None:
        """Return for how long the oldest of them waits."""
        age = self._status(stream).oldest_age
        return round(age.total_seconds(), 3) if age else None

    def get_p50_ms(self, stream: Stream) -> float | None:
        """Return within how long half of the changes appeared."""
        return figures.percentile(self._status(stream).latencies, 0.5)

    def get_p95_ms(self, stream: Stream) -> float | None:
        """Return within how long 95 % of the changes appeared."""
        return figures.percentile(self._status(stream).latencies, 0.95)

    def get_p99_ms(self, stream: Stream) -> float | None:
        """Return within how long 99 % of the changes appeared."""
        return figures.percentile(self._status(stream).latencies, 0.99)

    @extend_schema_field(LastProof(allow_null=True))
    def get_last_proof(self, stream: Stream) -> Any:
        """Return the last comparison of both sides."""
        status = self._status(stream)
        return (
            LastProof(status.proof, context={"is_outgoing": status.is_outgoing}).data
            if status.proof
            else None
        )


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
    queryset = streams()
    serializer_class = StreamSerializer
    filterset_fields = ("agreement", "state")
    orderings = ("-created_at", "id")

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        institution: Institution = self.request.tenant  # type: ignore[attr-defined]
        return queryset.filter(Q(owner=institution) | Q(receiver=institution))
