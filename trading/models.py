"""From a proposal to settled trades: orders, blocks, executions, allocations, affirmation, settlement."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.fields import CurrencyField, MoneyField, PriceField, QuantityField, RateField, WeightField
from accounts.records import Record
from models_portfolio.models import ModelVersion
from portfolios.models import Portfolio, Security
from portfolios.querysets import PortfolioRecordQuerySet
from trading.querysets import AllocationQuerySet, BlockQuerySet, ExecutionQuerySet


class Side(models.TextChoices):
    """Whether an order or a line of a proposal buys or sells."""

    BUY = "buy", _("Buy")
    SELL = "sell", _("Sell")


class RestrictedSecurity(Record):
    """A security this institution does not buy or sell for now; private."""

    class Rule(models.TextChoices):
        DO_NOT_BUY = "do_not_buy", _("Do not buy")
        DO_NOT_SELL = "do_not_sell", _("Do not sell")
        DO_NOT_TRADE = "do_not_trade", _("Do not trade")

    security = models.ForeignKey(Security, on_delete=models.PROTECT, related_name="restricted")
    rule = models.CharField(_("rule"), max_length=15, choices=Rule)
    reason = models.CharField(_("reason"), max_length=200)
    valid_from = models.DateField(_("from"))
    valid_to = models.DateField(_("to"), null=True, blank=True)

    class Meta:
        verbose_name_plural = "restricted securities"

    def __str__(self) -> str:
        return f"{self.security}: {self.get_rule_display()}"


class Proposal(Record):
    """Trades worked out for a portfolio, with the inputs they follow from; private.

    The proposer is not the approver; an edit voids approval. ``made_by`` worked out or last edited
    the trades, ``proposed_by`` submitted them: neither may approve.
    """

    class Reason(models.TextChoices):
        FIRST_INVESTMENT = "first_investment", _("First investment")
        CASH_IN = "cash_in", _("Cash in")
        CASH_OUT = "cash_out", _("Cash out")
        DRIFT = "drift", _("Outside tolerance")
        MODEL_CHANGE = "model_change", _("Model or view change")
        MANUAL = "manual", _("By hand")

    class Mode(models.TextChoices):
        TO_TARGET = "to_target", _("To target")
        INVEST_CASH = "invest_cash", _("Invest cash")
        RAISE_CASH = "raise_cash", _("Raise cash")
        LIQUIDATE = "liquidate", _("Liquidate")

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PROPOSED = "proposed", _("Proposed")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")
        SENT = "sent", _("Sent")
        VOID = "void", _("Void")

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="proposals")
    reason = models.CharField(_("reason"), max_length=20, choices=Reason)
    mode = models.CharField(_("mode"), max_length=15, choices=Mode, default=Mode.TO_TARGET)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT)
    model_version = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="proposals"
    )
    # What the trades follow from: prices, rates, holdings, targets, cash to raise, parameters.
    inputs = models.JSONField(default=dict)
    # Raised by each change of the trades, so that what is decided on is what was looked at.
    revision = models.PositiveIntegerField(_("revision"), default=1, editable=False)
    note = models.TextField(_("note"), blank=True)
    turnover = WeightField(_("turnover"), null=True, blank=True)
    drift_before = WeightField(_("drift before"), null=True, blank=True)
    drift_after = WeightField(_("drift after"), null=True, blank=True)
    cash_after = MoneyField(_("cash after"), null=True, blank=True)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="proposals_made"
    )
    proposed_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="proposals_decided",
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_note = models.TextField(_("decision note"), blank=True)

    objects = PortfolioRecordQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "sent"])
                | Q(decided_by__isnull=False)
                & ~Q(decided_by=models.F("proposed_by"))
                & ~Q(decided_by=models.F("made_by")),
                name="proposal_approver_is_not_proposer",
                violation_error_message=_("Somebody else has to approve what you proposed."),
            ),
            models.UniqueConstraint(
                fields=["portfolio"],
                condition=Q(state__in=["draft", "proposed", "approved"]),
                name="proposal_one_open_per_portfolio",
                violation_error_message=_("This portfolio has an open proposal. Finish or discard it first."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.portfolio} {self.get_reason_display()}"


class ProposalLine(models.Model):
    """A line of a proposal: current, target and proposed, and why it trades or does not.

    ``security`` is null for cash. ``amount`` is in the portfolio's currency, ``price`` in ``currency``.
    """

    proposal = models.ForeignKey(Proposal, on_delete=models.CASCADE, related_name="lines")
    security = models.ForeignKey(Security, null=True, on_delete=models.PROTECT, related_name="+")
    current_weight = WeightField(null=True)
    target_weight = WeightField(null=True)
    proposed_weight = WeightField(null=True)
    current_quantity = QuantityField(default=0)
    side = models.CharField(max_length=4, choices=Side, blank=True)
    quantity = QuantityField(default=0)
    # What was worked out, before somebody changed the quantity by hand.
    computed_side = models.CharField(max_length=4, choices=Side, blank=True)
    computed_quantity = QuantityField(default=0)
    price = PriceField(null=True)
    currency = CurrencyField()
    amount = MoneyField(default=0)
    reason = models.CharField(max_length=40)
    reason_data = models.JSONField(default=dict)

    class Meta:
        ordering = ["-target_weight", "pk"]

    def __str__(self) -> str:
        return f"{self.security} {self.reason}"


class Block(Record):
    """Orders in one security, side and currency that go to the market as one; private."""

    class State(models.TextChoices):
        SENT = "sent", _("Sent")
        NEW = "new", _("In the market")
        PARTIALLY_FILLED = "partially_filled", _("Partly filled")
        FILLED = "filled", _("Filled")
        CANCELLED = "cancelled", _("Cancelled")
        REJECTED = "rejected", _("Rejected")

    security = models.ForeignKey(Security, on_delete=models.PROTECT, related_name="blocks")
    side = models.CharField(_("side"), max_length=4, choices=Side)
    currency = CurrencyField(_("currency"))
    quantity = QuantityField(_("quantity"))
    filled_quantity = QuantityField(_("filled"), default=0)
    state = models.CharField(_("state"), max_length=20, choices=State, default=State.SENT)
    broker = models.CharField(_("broker"), max_length=60, default="paper")
    # How many parts the paper broker fills the block in.
    fill_parts = models.PositiveSmallIntegerField(_("fill in parts"), default=1)
    sent_at = models.DateTimeField(_("sent"))

    objects = BlockQuerySet.as_manager()

    class Meta:
        ordering = ["-sent_at"]

    def __str__(self) -> str:
        return f"{self.get_side_display()} {self.security}"


class Execution(Record):
    """A fill in the market; private, since it spans portfolios."""

    block = models.ForeignKey(Block, on_delete=models.PROTECT, related_name="executions")
    quantity = QuantityField(_("quantity"))
    price = PriceField(_("price"))
    executed_at = models.DateTimeField(_("executed"))
    reference = models.CharField(_("broker's reference"), max_length=60, unique=True)

    objects = ExecutionQuerySet.as_manager()

    class Meta:
        ordering = ["executed_at"]

    def __str__(self) -> str:
        return f"{self.quantity} @ {self.price}"


class Order(Record):
    """An order for one portfolio in one security; its state is FIX 4.4's OrdStatus, from ``new`` on.

    Approved, or waiting until it may go on, it is sent, is new in the market, partly filled, filled, and settled once all
    its parts are. An open one can be cancelled, the market rejects it or lets it expire. A filled one ends as cancelled
    too where its parts are withdrawn, since whoever settles rejects them, or reversed.
    """

    class State(models.TextChoices):
        APPROVED = "approved", _("Approved")
        WAITING = "waiting", _("Waiting for KYC")
        SENT = "sent", _("Sent")
        NEW = "new", _("In the market")
        PARTIALLY_FILLED = "partially_filled", _("Partly filled")
        FILLED = "filled", _("Filled")
        SETTLED = "settled", _("Settled")
        CANCELLED = "cancelled", _("Cancelled")
        REJECTED = "rejected", _("Rejected")
        EXPIRED = "expired", _("Expired")

    IN_MARKET = ("sent", "new", "partially_filled")
    OPEN = ("approved", "waiting", *IN_MARKET)

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="orders")
    security = models.ForeignKey(Security, on_delete=models.PROTECT, related_name="orders")
    number = models.CharField(_("order number"), max_length=30)
    side = models.CharField(_("side"), max_length=4, choices=Side)
    quantity = QuantityField(_("quantity"))
    filled_quantity = QuantityField(_("filled"), default=0)
    average_price = PriceField(_("average price"), null=True, blank=True)
    currency = CurrencyField(_("currency"))
    estimated_amount = MoneyField(_("estimate"), default=0)
    state = models.CharField(_("state"), max_length=20, choices=State, default=State.APPROVED)
    reason = models.CharField(_("reason"), max_length=20, choices=Proposal.Reason)
    state_note = models.CharField(_("note"), max_length=200, blank=True)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    # Private.
    proposal = models.ForeignKey(
        Proposal, null=True, blank=True, on_delete=models.PROTECT, related_name="orders"
    )
    block = models.ForeignKey(Block, null=True, blank=True, on_delete=models.PROTECT, related_name="orders")

    objects = PortfolioRecordQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["origin", "number"], nulls_distinct=False, name="order_number_unique_per_owner"
            ),
            models.UniqueConstraint(
                fields=["portfolio", "security"],
                condition=Q(state__in=["approved", "waiting", "sent", "new", "partially_filled"]),
                name="order_one_open_per_security",
                violation_error_message=_("There is already an open order in this security."),
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_quantity_positive"),
            models.CheckConstraint(
                condition=Q(filled_quantity__lte=models.F("quantity")), name="order_not_overfilled"
            ),
        ]

    def __str__(self) -> str:
        return self.number


class Allocation(Record):
    """A portfolio's part of a fill; booked as a transaction by the settling side."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="allocations")
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="allocations")
    quantity = QuantityField(_("quantity"))
    price = PriceField(_("price"))
    currency = CurrencyField(_("currency"))
    gross_amount = MoneyField(_("gross amount"))
    fees = MoneyField(_("fees"), default=0)
    net_amount = MoneyField(_("net amount"))
    exchange_rate = RateField(_("rate to the portfolio's currency"), default=1)
    trade_date = models.DateField(_("trade date"))
    settlement_date = models.DateField(_("settlement date"))
    # Private.
    execution = models.ForeignKey(
        Execution, null=True, blank=True, on_delete=models.PROTECT, related_name="allocations"
    )
    booking_problem = models.CharField(
        _("why it is not booked"), max_length=200, blank=True, default="", db_default=""
    )
    # What the settling party rejected is withdrawn, and allocated anew where it can be corrected.
    replaces = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="replaced_by"
    )
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True, blank=True)
    withdrawal_note = models.CharField(_("why it was withdrawn"), max_length=200, blank=True)

    objects = AllocationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            # Reasons for attention and the desk ask for them; there are hardly any.
            models.Index(
                fields=["portfolio"], condition=Q(booking_problem__gt=""), name="allocation_not_booked"
            )
        ]

    def __str__(self) -> str:
        return f"{self.quantity} @ {self.price}"

    @property
    def answered(self) -> "Affirmation | None":
        """Return the settling party's answer; None where there is none, or none is needed."""
        answer: Affirmation | None = getattr(self, "affirmation", None)
        return None if answer is None or answer.retired_at is not None else answer


class Affirmation(Record):
    """The settling party's answer to an allocation of whoever trades, where that is another party.

    Only an affirmed allocation is booked and settled. An answer is final: a rejected allocation is
    withdrawn by whoever trades, and allocated anew or not.
    """

    class State(models.TextChoices):
        AFFIRMED = "affirmed", _("Affirmed")
        REJECTED = "rejected", _("Rejected")

    allocation = models.OneToOneField(Allocation, on_delete=models.PROTECT, related_name="affirmation")
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="affirmations")
    state = models.CharField(_("answer"), max_length=10, choices=State)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    at = models.DateTimeField(_("answered"))
    by_name = models.CharField(_("answered by"), max_length=150, blank=True)

    objects = PortfolioRecordQuerySet.as_manager()

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(origin__isnull=False) | Q(state="affirmed") | ~Q(reason=""),
                name="affirmation_rejection_has_reason",
                violation_error_message=_("Say why you reject it, so that it can be put right."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.allocation}"


class Settlement(Record):
    """Whether an allocation was delivered and paid for."""

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        SETTLED = "settled", _("Settled")
        FAILED = "failed", _("Failed")
        # The trade's entry was reversed. Before it settled, nothing is delivered or paid any more; ``settled_on`` stays
        # where it had settled.
        REVERSED = "reversed", _("Reversed")

    # After these nothing is to be done.
    FINAL = (State.SETTLED, State.REVERSED)

    allocation = models.OneToOneField(Allocation, on_delete=models.PROTECT, related_name="settlement")
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="settlements")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    expected_date = models.DateField(_("expected"))
    settled_on = models.DateField(_("settled"), null=True, blank=True)
    # Why it failed, or was reversed.
    failure_reason = models.CharField(_("why it failed"), max_length=200, blank=True)

    objects = PortfolioRecordQuerySet.as_manager()

    class Meta:
        ordering = ["expected_date"]

    def __str__(self) -> str:
        return f"{self.get_state_display()} {self.expected_date}"

    @property
    def shown_reason(self) -> str:
        """Return why it failed or was reversed; of one that is tried again, marked as what was in the way before."""
        if self.failure_reason and self.state in {self.State.PENDING, self.State.SETTLED}:
            return gettext("Failed before: %(reason)s") % {"reason": self.failure_reason}
        return self.failure_reason
