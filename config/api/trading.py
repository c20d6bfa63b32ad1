"""Proposals, orders and blocks, their fills, allocations, affirmations and settlements."""

from typing import Any

import django_filters
from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.rights import PORTFOLIO_ROLES
from config.api.base import Listed, RecordSerializer, SecurityName, shown
from config.api.portfolios import OfPortfolio
from trading.models import (
    Affirmation,
    Allocation,
    Block,
    Execution,
    Order,
    Proposal,
    ProposalLine,
    Settlement,
    Side,
)
from trading.showing import measured_targets


class ProposalLineSerializer(serializers.ModelSerializer):
    """A security, or cash where it is null: what is, what should be, and why it is traded or not."""

    security = SecurityName(read_only=True, allow_null=True)
    side = serializers.ChoiceField(
        choices=Side.choices, allow_blank=True, read_only=True, help_text="Empty where nothing is traded."
    )
    measured_target = serializers.SerializerMethodField(
        help_text="What the drift is measured from: the model's `target_weight`, without what the client excludes."
    )

    class Meta:
        model = ProposalLine
        fields = read_only_fields = (
            "security", "current_weight", "target_weight", "measured_target", "proposed_weight", "current_quantity",
            "side", "quantity", "price", "currency", "amount", "reason", "reason_data",
        )  # fmt: skip

    @extend_schema_field(serializers.DecimalField(max_digits=12, decimal_places=10, allow_null=True))
    def get_measured_target(self, line: ProposalLine) -> str | None:
        """Return what the drift is measured from, as the list of lines was told."""
        target = self.context["targets"].get(line.pk)
        return None if target is None else f"{target:.10f}"


class ProposalSerializer(RecordSerializer):
    """Trades worked out for a portfolio; a line's ``amount`` is in the portfolio's currency."""

    made_by = serializers.CharField(source="made_by.full_name", read_only=True, allow_null=True, default=None)
    proposed_by = serializers.CharField(
        source="proposed_by.full_name", read_only=True, allow_null=True, default=None
    )
    decided_by = serializers.CharField(
        source="decided_by.full_name", read_only=True, allow_null=True, default=None
    )
    lines = serializers.SerializerMethodField()

    class Meta:
        model = Proposal
        fields = read_only_fields = shown(
            "portfolio reason mode state model_version revision note turnover drift_before drift_after cash_after"
            " made_by created_at proposed_by proposed_at decided_by decided_at decision_note lines"
        )

    @extend_schema_field(ProposalLineSerializer(many=True))
    def get_lines(self, proposal: Proposal) -> Any:
        """Return the lines with what the drift is measured from, which they say together."""
        lines = list(proposal.lines.all())
        context = {**self.context, "targets": measured_targets(lines)}
        return ProposalLineSerializer(lines, many=True, context=context).data


class ExecutionSerializer(RecordSerializer):
    """A fill in the market of a block."""

    class Meta:
        model = Execution
        fields = read_only_fields = shown("block quantity price executed_at reference")


class BlockSerializer(RecordSerializer):
    """Orders that went to the market as one, with its fills."""

    security = SecurityName(read_only=True)
    executions = ExecutionSerializer(many=True, read_only=True)

    class Meta:
        model = Block
        fields = read_only_fields = shown(
            "security side currency quantity filled_quantity state broker sent_at executions"
        )


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


class ProposalFilter(OfPortfolio):
    """Narrow proposals down."""

    class Meta:
        model = Proposal
        fields = ("state", "reason")


class BlockFilter(django_filters.FilterSet):
    """Narrow blocks down."""

    security = django_filters.UUIDFilter(field_name="security_id")

    class Meta:
        model = Block
        fields = ("state", "side")


class ExecutionFilter(django_filters.FilterSet):
    """Narrow fills down."""

    block = django_filters.UUIDFilter(field_name="block_id")

    class Meta:
        model = Execution
        fields: tuple[str, ...] = ()


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


class Proposals(Listed):
    """Proposals with their lines, open and past."""

    roles = PORTFOLIO_ROLES
    queryset = Proposal.objects.select_related("made_by", "proposed_by", "decided_by").prefetch_related(
        Prefetch("lines", ProposalLine.objects.select_related("security"))
    )
    serializer_class = ProposalSerializer
    filterset_class = ProposalFilter
    orderings = ("-created_at", "id")


class Blocks(Listed):
    """Blocks with their fills, as far as all of their orders are within the user's reach."""

    roles = PORTFOLIO_ROLES
    queryset = Block.objects.select_related("security").prefetch_related("executions")
    serializer_class = BlockSerializer
    filterset_class = BlockFilter
    orderings = ("-sent_at", "id")


class Executions(Listed):
    """Fills in the market, of the same blocks."""

    roles = PORTFOLIO_ROLES
    queryset = Execution.objects.all()
    serializer_class = ExecutionSerializer
    filterset_class = ExecutionFilter
    orderings = ("-executed_at", "id")


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
