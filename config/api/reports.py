"""Reports with their figures and PDFs, and their release."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import renderers, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import audit
from config.api.base import ClientFilter, Listed, RecordSerializer, find, shown
from config.api.idempotency import PARAMETER
from reporting import services
from reporting.models import RELEASED, Report, ReportRelease
from reporting.querysets import reportable

STATUSES = [*Report.State.choices, (RELEASED, _("Released"))]
_FIELDS = (
    "portfolio number kind title language period_from period_to status problem made_at made_by_name release"
)


class ReleaseSerializer(RecordSerializer):
    """The word of the institution that has the client that a report may go to the client."""

    class Meta:
        model = ReportRelease
        fields = read_only_fields = shown("report released_at released_by_name note")


class ReportSerializer(RecordSerializer):
    """A report of one portfolio over a period, both days included."""

    status = serializers.ChoiceField(choices=STATUSES, read_only=True)
    release = ReleaseSerializer(read_only=True, allow_null=True, default=None)

    class Meta:
        model = Report
        fields = read_only_fields = shown(_FIELDS)


class FullReportSerializer(ReportSerializer):
    """A report with its figures as they stood when it was made; null before that."""

    figures = serializers.SerializerMethodField()

    class Meta:
        model = Report
        fields = read_only_fields = shown(f"{_FIELDS} figures")

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_figures(self, report: Report) -> dict[str, Any] | None:
        figures: dict[str, Any] | None = report.content.get("figures")
        return figures


class NewReport(serializers.Serializer):
    """Of which portfolio, and over which period, both days included."""

    portfolio = serializers.UUIDField()
    period_from = serializers.DateField()
    period_to = serializers.DateField()


class NewRelease(serializers.Serializer):
    """What goes with a release; not for the client."""

    note = serializers.CharField(max_length=1000, required=False, default="")


class ReportFilter(django_filters.FilterSet):
    """Narrow reports down."""

    portfolio = django_filters.UUIDFilter(field_name="portfolio_id")
    client = ClientFilter("portfolio__mandate")
    is_released = django_filters.BooleanFilter(field_name="release", lookup_expr="isnull", exclude=True)
    period_to_from = django_filters.DateFilter(field_name="period_to", lookup_expr="gte")
    period_to_until = django_filters.DateFilter(field_name="period_to", lookup_expr="lte")

    class Meta:
        model = Report
        fields = ("state", "number")


class PdfRenderer(renderers.BaseRenderer):
    """Hand bytes through as PDF."""

    media_type = "application/pdf"
    format = "pdf"
    charset = None
    render_style = "binary"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return bytes(data)


class Reports(Listed):
    """Reports, own and received."""

    queryset = Report.objects.select_related("release")
    serializer_class = ReportSerializer
    filterset_class = ReportFilter
    orderings = ("-period_to", "id", "created_at", "number")
    rights = {"create": "report.make", "release": "report.release"}

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows = super().narrow(queryset)
        if self.action == "pdf":
            return rows.defer("content")
        return rows.defer("pdf") if self.action == "retrieve" else rows.defer("pdf", "content")

    def get_serializer_class(self) -> Any:
        bodies = {"create": NewReport, "release": NewRelease, "retrieve": FullReportSerializer}
        return bodies.get(self.action, ReportSerializer)

    @extend_schema(parameters=[PARAMETER], responses={201: ReportSerializer})
    def create(self, request: Request) -> Response:
        """Order a statement; it is `ready` some seconds later."""
        return self.write(self._order, status=status.HTTP_201_CREATED, then=ReportSerializer)

    def _order(self, data: dict[str, Any]) -> Report:
        portfolio = find(reportable(self.person), data.pop("portfolio"), "portfolio")
        return services.order_report(portfolio=portfolio, by=self.person, **data)

    @extend_schema(responses={(200, "application/pdf"): OpenApiTypes.BINARY})
    @action(detail=True, renderer_classes=[PdfRenderer, renderers.JSONRenderer], filterset_class=None)
    def pdf(self, request: Request, pk: str) -> Response:
        """Hand out the PDF of a report that is ready, and note who took it."""
        report = self.get_object()
        if report.state != Report.State.READY or report.pdf is None:
            raise Http404
        audit("report.downloaded", report, by=self.person)
        return Response(bytes(report.pdf), content_type=PdfRenderer.media_type)

    @extend_schema(parameters=[PARAMETER], responses={201: ReportSerializer})
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Release a report to the client, by the institution that has the client."""
        report = self.get_object()

        def act(data: dict[str, Any]) -> Report:
            services.release_report(report=report, by=self.person, **data)
            return report

        return self.write(act, status=status.HTTP_201_CREATED, then=ReportSerializer)


class ReleaseFilter(django_filters.FilterSet):
    """Narrow releases down."""

    report = django_filters.UUIDFilter(field_name="report_id")

    class Meta:
        model = ReportRelease
        fields: tuple[str, ...] = ()


class Releases(Listed):
    """Releases of reports, own and received."""

    queryset = ReportRelease.objects.all()
    serializer_class = ReleaseSerializer
    filterset_class = ReleaseFilter
    orderings = ("-released_at", "id")
