"""Orders, their allocations, affirmations and settlements."""

import django_filters

from config.api.base import Listed, RecordSerializer, SecurityName, shown
from config.api.portfolios import OfPortfolio
from trading.models import Affirmation, Allocation, Order, Settlement


class OrderSerializer(RecordSerializer):
    """An order for one portfolio in one security."""

    security = SecurityName(read_only=True)

    class Meta:
        model = Order
        fields = read_only_fields = shown(
            "portfolio security number side quantity filled_quantity average_price currency estimated_amount"
            " state reason state_note sent_at closed_at created_at"
        )


class AllocationSerializer(RecordSerializer):
    """A portfolio's part of a fill."""

    class Meta:
        model = Allocation
        fields = read_only_fields = shown(
            "order portfolio quantity price currency gross_amount fees net_amount exchange_rate trade_date"
            " settlement_date replaces withdrawn_at withdrawal_note"
        )


class SettlementSerializer(RecordSerializer):
    """Whether an allocation was delivered and paid for."""

    class Meta:
        model = Settlement
        fields = read_only_fields = shown(
            "allocation portfolio state expected_date settled_on failure_reason"
        )


class AffirmationSerializer(RecordSerializer):
    """The settling party's answer to an allocation, where another party trades."""

    class Meta:
        model = Affirmation
        fields = read_only_fields = shown("allocation portfolio state reason at by_name")


class OrderFilter(OfPortfolio):
    """Narrow orders down."""

    security = django_filters.UUIDFilter(field_name="security_id")
    state = django_filters.MultipleChoiceFilter(choices=Order.State.choices)

    class Meta:
        model = Order
        fields = ("side", "number")


class AllocationFilter(OfPortfolio):
    """Narrow allocations down."""

    order = django_filters.UUIDFilter(field_name="order_id")
    date_from = django_filters.DateFilter(field_name="trade_date", lookup_expr="gte")
    date_to = django_filters.DateFilter(field_name="trade_date", lookup_expr="lte")

    class Meta:
        model = Allocation
        fields = ("currency",)


class SettlementFilter(OfPortfolio):
    """Narrow settlements down."""

    order = django_filters.UUIDFilter(field_name="allocation__order_id")

    class Meta:
        model = Settlement
        fields = ("state",)


class AffirmationFilter(OfPortfolio):
    """Narrow answers to allocations down."""

    allocation = django_filters.UUIDFilter(field_name="allocation_id")
    order = django_filters.UUIDFilter(field_name="allocation__order_id")

    class Meta:
        model = Affirmation
        fields = ("state",)


class Orders(Listed):
    """Orders, own and received."""

    queryset = Order.objects.select_related("security")
    serializer_class = OrderSerializer
    filterset_class = OrderFilter
    orderings = ("-created_at", "id", "number")


class Allocations(Listed):
    """Parts of fills by portfolio."""

    queryset = Allocation.objects.all()
    serializer_class = AllocationSerializer
    filterset_class = AllocationFilter
    orderings = ("-trade_date", "id")


class Affirmations(Listed):
    """Answers of the settling party to allocations."""

    queryset = Affirmation.objects.all()
    serializer_class = AffirmationSerializer
    filterset_class = AffirmationFilter
    orderings = ("-at", "id")


class Settlements(Listed):
    """Settlements of allocations."""

    queryset = Settlement.objects.all()
    serializer_class = SettlementSerializer
    filterset_class = SettlementFilter
    orderings = ("expected_date", "id")
