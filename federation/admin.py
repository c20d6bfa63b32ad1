"""Django's admin for agreements and their mirrors: read only, and for each institution only its own."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from accounts.admin_site import ReadOnlyAdmin
from federation.models import (
    Acceptance,
    Agreement,
    AgreementEvent,
    AgreementToken,
    AgreementVersion,
    Alert,
    Domain,
    Institution,
    ParkedRow,
    Proof,
    Stream,
    Suspension,
    Watch,
)
from federation.views.base import institution_of


@admin.register(Institution)
class InstitutionAdmin(ReadOnlyAdmin):
    """The institution itself and the external partners that it entered."""

    list_display = ["name", "short_name", "country", "currency", "lei"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Institution]:
        here = institution_of(request)
        return Institution.everyone.filter(Q(pk=here.pk) | Q(registered_by=here))


@admin.register(Agreement)
class AgreementAdmin(ReadOnlyAdmin):
    """Agreements that the institution is a party to."""

    list_display = ["name", "preset", "state", "suspended_at", "started_at", "ended_at"]
    list_filter = ["state", "preset"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agreement]:
        agreements: QuerySet[Agreement] = Agreement.objects.visible_to(institution_of(request))
        return agreements


@admin.register(AgreementVersion)
class AgreementVersionAdmin(ReadOnlyAdmin):
    """Versions that were proposed between the institution and a partner, and its own drafts."""

    list_display = ["agreement", "number", "proposed_at", "in_force_from", "in_force_to"]
    list_select_related = ["agreement"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgreementVersion]:
        versions: QuerySet[AgreementVersion] = AgreementVersion.objects.visible_to(institution_of(request))
        return versions


class OfOwnAgreements(ReadOnlyAdmin):
    """Rows of the agreements that the institution is a party to; ``path`` leads to the agreement."""

    path = "agreement"

    def get_queryset(self, request: HttpRequest) -> Any:
        visible = Agreement.objects.visible_to(institution_of(request))
        return super().get_queryset(request).filter(**{f"{self.path}__in": visible.values("pk")})


@admin.register(Acceptance)
class AcceptanceAdmin(ReadOnlyAdmin):
    """Both parties' answers to those versions."""

    list_display = ["version", "institution", "answer", "by_name", "at"]
    list_filter = ["answer"]
    list_select_related = ["version__agreement", "institution"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Acceptance]:
        versions = AgreementVersion.objects.visible_to(institution_of(request))
        return Acceptance.objects.filter(version__in=versions.values("pk"))


@admin.register(AgreementEvent)
class AgreementEventAdmin(OfOwnAgreements):
    """What happened to the institution's agreements."""

    list_display = ["at", "agreement", "institution", "kind", "by_name"]
    list_select_related = ["agreement", "institution"]


@admin.register(Suspension)
class SuspensionAdmin(OfOwnAgreements):
    """Switches that either party has thrown."""

    list_display = ["agreement", "institution", "what", "suspended_at", "suspended_by_name", "resumed_at"]
    list_filter = ["what"]
    list_select_related = ["agreement", "institution"]


@admin.register(Domain)
class DomainAdmin(ReadOnlyAdmin):
    """The institution's host names."""

    list_display = ["domain", "is_primary"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Domain]:
        return Domain.objects.filter(tenant=institution_of(request))


@admin.register(AgreementToken)
class AgreementTokenAdmin(ReadOnlyAdmin):
    """Tokens that the institution made for its partners, of which nothing proves them."""

    list_display = ["name", "agreement", "prefix", "expires_at", "revoked_at", "last_used_at"]
    list_select_related = ["agreement"]
    exclude = ["secret_hash"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgreementToken]:
        return AgreementToken.objects.filter(issuer=institution_of(request))


@admin.register(Stream)
class StreamAdmin(OfOwnAgreements):
    """Mirrors from and to the institution; how far the owner's log was read is the owner's to know."""

    list_display = [
        "agreement",
        "__str__",
        "state",
        "rows_written",
        "last_applied_at",
        "problem",
        "problem_at",
    ]
    list_filter = ["state"]
    list_select_related = ["agreement", "owner", "receiver"]
    owners = ("cursor", "identity", "wait_for", "fill_after", "last_tick_at", "last_duration_ms")

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:
        others = super().get_exclude(request, obj)
        return others if obj is None or obj.owner == institution_of(request) else [*others, *self.owners]


@admin.register(ParkedRow)
class ParkedRowAdmin(OfOwnAgreements):
    """Rows that could not cross: by kind, id and the rule in the way, never what stands in them."""

    path = "stream__agreement"
    list_display = ["stream", "kind", "key", "reason", "attempts", "last_at", "skipped_at"]
    list_select_related = ["stream__owner", "stream__receiver"]


@admin.register(Proof)
class ProofAdmin(OfOwnAgreements):
    """Comparisons of both sides; how much waited meanwhile is the owner's to know."""

    path = "stream__agreement"
    list_display = ["stream", "state", "result", "asked_at", "at", "by_name"]
    list_filter = ["state", "result"]
    list_select_related = ["stream__owner", "stream__receiver"]

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:
        others = super().get_exclude(request, obj)
        is_owner = obj is None or obj.stream.owner == institution_of(request)
        return others if is_owner else [*others, "pending"]


class OfOneParty(ReadOnlyAdmin):
    """Rows that each party has for itself."""

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(institution=institution_of(request))


@admin.register(Alert)
class AlertAdmin(OfOneParty):
    """What the institution's administrators were told of its mirrors."""

    list_display = ["stream", "kind", "count", "raised_at", "cleared_at", "mailed_at"]
    list_filter = ["kind"]
    list_select_related = ["stream__owner", "stream__receiver"]


@admin.register(Watch)
class WatchAdmin(OfOneParty):
    """From when on they want to be told."""

    list_display = ["agreement", "behind_seconds", "muted_until", "changed_by_name", "changed_at"]
    list_select_related = ["agreement"]


# Not there: sealed sets, their keys, holds, openings and erasures, which name what is sealed; keys that are on their
# way (StreamWork, Arrival), of records that may be sealed by then; what was shared with whom (SharedSecurity,
# SharedCurrency), which is the mirror's own book; and figures by the minute, which the pages draw.
