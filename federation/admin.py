"""Django's admin for agreements: read only, and for each institution only its own."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from accounts.admin_site import ReadOnlyAdmin
from federation.models import Agreement, AgreementEvent, AgreementVersion, Institution
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


@admin.register(AgreementEvent)
class AgreementEventAdmin(ReadOnlyAdmin):
    """What happened to the institution's agreements."""

    list_display = ["at", "agreement", "institution", "kind", "by_name"]
    list_select_related = ["agreement", "institution"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgreementEvent]:
        visible = Agreement.objects.visible_to(institution_of(request))
        return AgreementEvent.objects.filter(agreement__in=visible.values("pk"))
