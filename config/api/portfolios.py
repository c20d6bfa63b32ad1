"""Portfolios, their accounts, what they hold, what was booked, and what they were worth."""

import django_filters
from django.db.models import Prefetch

from config.api.base import ClientFilter, Listed, RecordSerializer, SecurityName, shown
from config.api.reference import DayFilter
from portfolios.models import Account, Holding, Portfolio, Transaction, Valuation


class ValuationSerializer(RecordSerializer):
    """A portfolio's value at the close of a day; null is not available, for the reason in ``problem``.

    The return over a period is the quotient of two indices less 1: ``return_index`` net of fees,
    ``gross_return_index`` before them.
    """

    class Meta:
        model = Valuation
        fields = read_only_fields = shown(
            "portfolio date currency market_value cash_value inflow outflow fees return_index"
            " gross_return_index drift problem has_simulated_prices is_latest"
        )


class PortfolioSerializer(RecordSerializer):
    """A client's portfolio, with its latest value."""

    latest_valuation = ValuationSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Portfolio
        fields = read_only_fields = shown(
            "number name mandate currency cost_method minimum_cash_weight opened_on closed_on manager_name"
            " latest_valuation"
        )

    def to_representation(self, portfolio: Portfolio) -> dict[str, object]:
        rows = portfolio.latest_valuations  # type: ignore[attr-defined]
        portfolio.latest_valuation = rows[0] if rows else None  # type: ignore[attr-defined]
        return super().to_representation(portfolio)


class AccountSerializer(RecordSerializer):
    """A cash or custody account."""

    class Meta:
        model = Account
        fields = read_only_fields = shown("portfolio kind number currency custodian")


class HoldingSerializer(RecordSerializer):
    """What a portfolio holds now; cash where ``security`` is null. Values are in the portfolio's currency."""

    security = SecurityName(read_only=True, allow_null=True)

    class Meta:
        model = Holding
        fields = read_only_fields = shown(
            "portfolio security currency quantity settled_quantity available_quantity price price_date"
            " price_source_name is_price_simulated average_cost book_cost market_value weight problem as_of"
        )


class TransactionSerializer(RecordSerializer):
    """An entry of the ledger; entries are never changed, a correction is a reversal and a new entry."""

    security = SecurityName(read_only=True, allow_null=True)

    class Meta:
        model = Transaction
        fields = read_only_fields = shown(
            "portfolio type trade_date settlement_date security quantity price currency gross_amount fees taxes"
            " net_amount exchange_rate counter_currency counter_amount ratio reverses reference text created_at"
        )


class OfPortfolio(django_filters.FilterSet):
    """Narrow rows down to one portfolio or client."""

    portfolio = django_filters.UUIDFilter(field_name="portfolio_id")
    client = ClientFilter("portfolio__mandate")


class PortfolioFilter(django_filters.FilterSet):
    """Narrow portfolios down."""

    mandate = django_filters.UUIDFilter(field_name="mandate_id")
    client = ClientFilter("mandate")
    is_closed = django_filters.BooleanFilter(field_name="closed_on", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Portfolio
        fields = ("number", "currency")


class AccountFilter(OfPortfolio):
    """Narrow accounts down."""

    class Meta:
        model = Account
        fields = ("kind", "currency")


class HoldingFilter(OfPortfolio):
    """Narrow holdings down."""

    security = django_filters.UUIDFilter(field_name="security_id")
    isin = django_filters.CharFilter(field_name="security__isin")

    class Meta:
        model = Holding
        fields = ("currency",)


class TransactionFilter(OfPortfolio):
    """Narrow transactions down."""

    date_from = django_filters.DateFilter(field_name="trade_date", lookup_expr="gte")
    date_to = django_filters.DateFilter(field_name="trade_date", lookup_expr="lte")
    security = django_filters.UUIDFilter(field_name="security_id")

    class Meta:
        model = Transaction
        fields = ("type", "currency")


class ValuationFilter(OfPortfolio, DayFilter):
    """Narrow valuations down."""

    class Meta:
        model = Valuation
        fields = ("is_latest",)


class Portfolios(Listed):
    """Portfolios, own and received."""

    queryset = Portfolio.objects.prefetch_related(
        Prefetch("valuations", Valuation.objects.filter(is_latest=True), to_attr="latest_valuations")
    )
    serializer_class = PortfolioSerializer
    filterset_class = PortfolioFilter
    orderings = ("number", "id", "opened_on")


class Accounts(Listed):
    """Accounts of portfolios."""

    queryset = Account.objects.all()
    serializer_class = AccountSerializer
    filterset_class = AccountFilter


class Holdings(Listed):
    """What portfolios hold now."""

    queryset = Holding.objects.select_related("security")
    serializer_class = HoldingSerializer
    filterset_class = HoldingFilter


class Transactions(Listed):
    """The ledger."""

    queryset = Transaction.objects.select_related("security")
    serializer_class = TransactionSerializer
    filterset_class = TransactionFilter
    orderings = ("-trade_date", "id", "settlement_date")


class Valuations(Listed):
    """Values of portfolios by day."""

    queryset = Valuation.objects.all()
    serializer_class = ValuationSerializer
    filterset_class = ValuationFilter
    orderings = ("-date", "id")
