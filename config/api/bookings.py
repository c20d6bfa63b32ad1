"""What operations books from: arrived cash, corporate actions, and what was handed over."""

from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from rest_framework import serializers

from accounts.models import Role
from config.api.base import ClientFilter, Listed, RecordSerializer, SecurityName, shown
from config.api.portfolios import OfPortfolio
from portfolios.models import BankEntry, CorporateAction, Handover, HandoverPosition, Security
from portfolios.services.cash_matching import MATCHES, visible_entries


class BankEntrySerializer(RecordSerializer):
    """Cash that arrived according to the bank; nobody could place it yet where ``portfolio`` is null."""

    class Meta:
        model = BankEntry
        fields = read_only_fields = shown(
            "account portfolio amount currency value_date payer reference state instruction transaction note"
            " matched_at matched_by_name"
        )


class CorporateActionSerializer(RecordSerializer):
    """An event of a security as it concerns one portfolio."""

    security = SecurityName(read_only=True)

    class Meta:
        model = CorporateAction
        fields = read_only_fields = shown(
            "portfolio security kind ex_date pay_date amount_per_unit ratio currency is_booked"
        )


class HandoverPositionSerializer(RecordSerializer):
    """A lot, or cash where ISIN and name are empty; ``book_cost_portfolio`` is in the handover's currency."""

    asset_class = serializers.ChoiceField(
        choices=Security.AssetClass.choices, allow_blank=True, read_only=True, help_text="Empty for cash."
    )

    class Meta:
        model = HandoverPosition
        fields = read_only_fields = shown(
            "isin security_name asset_class price_unit currency quantity acquired_on book_cost book_cost_portfolio"
            " price price_date price_source_name is_price_simulated"
        )


class HandoverSerializer(RecordSerializer):
    """What the sales side hands to the next manager of a client, final once ``booked_out_on`` is there."""

    positions = HandoverPositionSerializer(many=True, read_only=True)

    class Meta:
        model = Handover
        fields = read_only_fields = shown(
            "mandate as_of currency performance_from time_weighted_return booked_out_on positions"
        )


class BankEntryFilter(django_filters.FilterSet):
    """Narrow arrived cash down."""

    portfolio = django_filters.UUIDFilter(field_name="portfolio_id")
    date_from = django_filters.DateFilter(field_name="value_date", lookup_expr="gte")
    date_to = django_filters.DateFilter(field_name="value_date", lookup_expr="lte")

    class Meta:
        model = BankEntry
        fields = ("state", "currency")


class CorporateActionFilter(OfPortfolio):
    """Narrow corporate actions down."""

    security = django_filters.UUIDFilter(field_name="security_id")
    date_from = django_filters.DateFilter(field_name="ex_date", lookup_expr="gte")
    date_to = django_filters.DateFilter(field_name="ex_date", lookup_expr="lte")

    class Meta:
        model = CorporateAction
        fields = ("kind", "is_booked")


class HandoverFilter(django_filters.FilterSet):
    """Narrow handovers down."""

    mandate = django_filters.UUIDFilter(field_name="mandate_id")
    client = ClientFilter("mandate")

    class Meta:
        model = Handover
        fields: tuple[str, ...] = ()


class BankEntries(Listed):
    """Arrived cash: what nobody could place yet, and that of portfolios within the user's reach."""

    right = (MATCHES,)
    roles = (Role.COMPLIANCE,)
    queryset = BankEntry.objects.all()
    serializer_class = BankEntrySerializer
    filterset_class = BankEntryFilter
    orderings = ("-value_date", "id")

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return visible_entries(self.person)


class CorporateActions(Listed):
    """Corporate actions by portfolio, own and received."""

    queryset = CorporateAction.objects.select_related("security")
    serializer_class = CorporateActionSerializer
    filterset_class = CorporateActionFilter
    orderings = ("-ex_date", "id")


class Handovers(Listed):
    """What was handed over with mandates, own and received."""

    queryset = Handover.objects.prefetch_related(Prefetch("positions", HandoverPosition.objects.current()))
    serializer_class = HandoverSerializer
    filterset_class = HandoverFilter
    orderings = ("-as_of", "id")
