"""Portfolios, their accounts, their ledger, and what follows from it."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts import formatting
from accounts.fields import CurrencyField, MoneyField, PriceField, QuantityField, RateField, WeightField
from accounts.models import Unit
from accounts.records import Record
from clients.models import Mandate
from portfolios.models.reference import Security
from portfolios.querysets import HoldingQuerySet, PortfolioQuerySet, PortfolioRecordQuerySet


class Portfolio(Record):
    """A client's portfolio under one mandate, kept by the party that manages it."""

    class CostMethod(models.TextChoices):
        AVERAGE = "average", _("Average cost")

    number = models.CharField(_("portfolio number"), max_length=30)
    name = models.CharField(_("name"), max_length=150)
    mandate = models.OneToOneField(
        Mandate, null=True, blank=True, on_delete=models.PROTECT, related_name="portfolio"
    )
    currency = CurrencyField(_("currency"))
    cost_method = models.CharField(
        _("cost method"), max_length=10, choices=CostMethod, default=CostMethod.AVERAGE
    )
    minimum_cash_weight = WeightField(_("minimum cash"), default=0)
    opened_on = models.DateField(_("opened"))
    closed_on = models.DateField(_("closed"), null=True, blank=True)
    manager_name = models.CharField(_("portfolio manager"), max_length=150, blank=True)
    # Private: units of the owner do not travel.
    unit = models.ForeignKey(
        Unit,
        verbose_name=_("desk"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="portfolios",
    )

    objects = PortfolioQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["number"],
                condition=Q(origin=None),
                name="portfolio_number_unique_per_owner",
                violation_error_message=_("This portfolio number is taken. Choose another."),
            )
        ]

    def __str__(self) -> str:
        return self.number


class PortfolioRecord(Record):
    """A record that hangs off one portfolio."""

    objects = PortfolioRecordQuerySet.as_manager()

    class Meta:
        abstract = True


class Account(PortfolioRecord):
    """A cash or custody account of a portfolio."""

    class Kind(models.TextChoices):
        CASH = "cash", _("Cash")
        CUSTODY = "custody", _("Custody")

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="accounts")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    number = models.CharField(_("account number"), max_length=40)
    currency = CurrencyField(_("currency"))
    custodian = models.CharField(_("custodian"), max_length=120, blank=True)

    class Meta:
        ordering = ["kind", "currency"]
        constraints = [
            models.UniqueConstraint(
                fields=["number"],
                condition=Q(origin=None),
                name="account_number_unique_per_owner",
            )
        ]

    def __str__(self) -> str:
        return self.number


class Transaction(PortfolioRecord):
    """An entry of the append-only ledger; a correction is a reversal and a new entry.

    ``quantity`` is signed (+ into the portfolio); ``net_amount`` is the signed effect on cash in
    ``currency``, after ``fees`` and ``taxes``; ``exchange_rate`` turns ``currency`` into the
    portfolio's currency. A currency exchange carries its other leg in ``counter_*``. A split
    carries the new units per old unit in ``ratio``.
    """

    class Type(models.TextChoices):
        BUY = "buy", _("Buy")
        SELL = "sell", _("Sell")
        DEPOSIT = "deposit", _("Deposit")
        WITHDRAWAL = "withdrawal", _("Withdrawal")
        TRANSFER_IN = "transfer_in", _("Transfer in")
        TRANSFER_OUT = "transfer_out", _("Transfer out")
        CURRENCY_EXCHANGE = "currency_exchange", _("Currency exchange")
        DIVIDEND = "dividend", _("Dividend")
        INTEREST = "interest", _("Interest")
        FEE = "fee", _("Fee")
        TAX = "tax", _("Tax")
        SPLIT = "split", _("Split")
        REVERSAL = "reversal", _("Reversal")

    # Its index is the one that begins with it.
    portfolio = models.ForeignKey(
        Portfolio, on_delete=models.PROTECT, related_name="transactions", db_index=False
    )
    type = models.CharField(_("type"), max_length=20, choices=Type)
    trade_date = models.DateField(_("trade date"))
    settlement_date = models.DateField(_("settlement date"))
    security = models.ForeignKey(
        Security, null=True, blank=True, on_delete=models.PROTECT, related_name="transactions"
    )
    quantity = QuantityField(_("quantity"), default=0)
    price = PriceField(_("price"), null=True, blank=True)
    currency = CurrencyField(_("currency"))
    gross_amount = MoneyField(_("gross amount"), default=0)
    fees = MoneyField(_("fees"), default=0)
    taxes = MoneyField(_("taxes"), default=0)
    net_amount = MoneyField(_("net amount"), default=0)
    exchange_rate = RateField(_("rate to the portfolio's currency"), default=1)
    counter_currency = CurrencyField(_("other currency"), blank=True)
    counter_amount = MoneyField(_("amount in the other currency"), null=True, blank=True)
    ratio = models.DecimalField(_("ratio"), max_digits=20, decimal_places=10, null=True, blank=True)
    reverses = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="reversed_by"
    )
    # What was transferred in keeps the date and the cost at which it was first bought.
    original_date = models.DateField(_("first bought"), null=True, blank=True)
    original_cost = MoneyField(_("original cost"), null=True, blank=True)
    original_cost_portfolio = MoneyField(
        _("original cost in the portfolio's currency"), null=True, blank=True
    )
    # Opaque ids of what caused the entry: an allocation, an instruction.
    reference = models.UUIDField(null=True, blank=True, db_index=True)
    text = models.CharField(_("text"), max_length=200, blank=True)

    class Meta:
        ordering = ["-trade_date", "-created_at"]
        indexes = [models.Index(fields=["portfolio", "trade_date"], name="transaction_by_day")]
        constraints = [
            models.CheckConstraint(
                condition=Q(settlement_date__gte=models.F("trade_date")),
                name="transaction_settles_after_trade",
                violation_error_message=_("The settlement date is before the trade date."),
            ),
            models.CheckConstraint(
                condition=~Q(type__in=["buy", "sell", "split", "transfer_in", "transfer_out"])
                | Q(security__isnull=False)
                | Q(type__in=["transfer_in", "transfer_out"]),
                name="transaction_names_security",
            ),
            models.CheckConstraint(
                condition=~Q(type="reversal") | Q(reverses__isnull=False),
                name="transaction_reversal_names_entry",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_type_display()} {self.trade_date}"


class Holding(PortfolioRecord):
    """What a portfolio holds now: a security, or cash in one currency where ``security`` is null.

    ``quantity`` is by trade date, ``settled_quantity`` by settlement date; for cash,
    ``available_quantity`` is what can still be spent. ``book_cost`` and ``market_value`` are in
    the portfolio's currency; a null value is not available, for the reason in ``problem``.
    """

    # Its index is the one that begins with it.
    portfolio = models.ForeignKey(
        Portfolio, on_delete=models.PROTECT, related_name="holdings", db_index=False
    )
    security = models.ForeignKey(
        Security, null=True, blank=True, on_delete=models.PROTECT, related_name="holdings"
    )
    currency = CurrencyField(_("currency"))
    quantity = QuantityField(_("quantity"))
    settled_quantity = QuantityField(_("settled"))
    available_quantity = QuantityField(_("available"), default=0)
    price = PriceField(_("price"), null=True, blank=True)
    price_date = models.DateField(_("price of"), null=True, blank=True)
    price_source_name = models.CharField(_("price from"), max_length=120, blank=True)
    is_price_simulated = models.BooleanField(default=False)
    average_cost = PriceField(_("average cost"), null=True, blank=True)
    book_cost = MoneyField(_("book cost"), null=True, blank=True)
    market_value = MoneyField(_("market value"), null=True, blank=True)
    weight = WeightField(_("weight"), null=True, blank=True)
    problem = models.CharField(_("problem"), max_length=200, blank=True)
    as_of = models.DateField(_("as of"))

    objects = HoldingQuerySet.as_manager()

    class Meta:
        ordering = ["-market_value"]
        constraints = [
            models.UniqueConstraint(
                fields=["portfolio", "security", "currency"], nulls_distinct=False, name="holding_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.security or self.currency}"

    @property
    def unrealised_gain(self) -> object:
        """Return market value less book cost, or None where either is not available."""
        if self.market_value is None or self.book_cost is None or self.security_id is None:
            return None
        return self.market_value - self.book_cost


# One of these days at least is a weekday, and valuations are made for each of those.
YEAR_END = Q(date__month=12, date__day__gte=29)


class Valuation(PortfolioRecord):
    """A portfolio's value at the close of a day, its flows, and its chained return since opening.

    ``return_index`` starts at 1 and multiplies the daily time-weighted returns, net of fees;
    ``gross_return_index`` adds fees back. The return over a period is the quotient of two
    indices less 1. ``market_value`` is null where it is not available, for ``problem``'s reason.
    One row per portfolio carries ``is_latest``: the book reads those alone.
    """

    # Its index is the one that begins with it.
    portfolio = models.ForeignKey(
        Portfolio, on_delete=models.PROTECT, related_name="valuations", db_index=False
    )
    date = models.DateField(_("date"))
    currency = CurrencyField(_("currency"))
    market_value = MoneyField(_("value"), null=True, blank=True)
    cash_value = MoneyField(_("cash"), null=True, blank=True)
    inflow = MoneyField(_("inflow"), default=0)
    outflow = MoneyField(_("outflow"), default=0)
    fees = MoneyField(_("fees"), default=0)
    return_index = models.DecimalField(_("return index"), max_digits=24, decimal_places=12, default=1)
    gross_return_index = models.DecimalField(max_digits=24, decimal_places=12, default=1)
    drift = WeightField(_("drift"), null=True, blank=True)
    problem = models.CharField(_("problem"), max_length=200, blank=True)
    has_simulated_prices = models.BooleanField(default=False)
    is_latest = models.BooleanField(default=False)

    class Meta:
        ordering = ["-date"]
        indexes = [
            # Returns ask for the days without a value or capital, which are few.
            models.Index(
                fields=["portfolio", "date"],
                condition=Q(market_value__isnull=True) | Q(market_value__lte=0),
                name="valuation_without_capital",
            ),
            # The return since the year began counts from its close, for all portfolios of the book at once.
            models.Index(
                fields=["portfolio", "date"],
                include=["return_index"],
                condition=YEAR_END,
                name="valuation_year_end",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "date"], name="valuation_unique_per_day"),
            # With all that the book sums, sorts and filters by: it reads thousands of these at once.
            models.UniqueConstraint(
                fields=["portfolio"],
                condition=Q(is_latest=True),
                include=["market_value", "cash_value", "drift", "date", "return_index", "problem"],
                name="valuation_one_latest",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.portfolio} {self.date}"


class CorporateAction(PortfolioRecord):
    """An event of a security as it concerns one portfolio."""

    class Kind(models.TextChoices):
        DIVIDEND = "dividend", _("Dividend")
        SPLIT = "split", _("Split")

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="corporate_actions")
    security = models.ForeignKey(Security, on_delete=models.PROTECT, related_name="corporate_actions")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    ex_date = models.DateField(_("ex date"))
    pay_date = models.DateField(_("pay date"), null=True, blank=True)
    amount_per_unit = PriceField(_("per unit"), null=True, blank=True)
    ratio = models.DecimalField(_("ratio"), max_digits=20, decimal_places=10, null=True, blank=True)
    currency = CurrencyField(_("currency"), blank=True)
    is_booked = models.BooleanField(_("booked"), default=False)

    class Meta:
        ordering = ["-ex_date"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.security}"


class BankEntry(PortfolioRecord):
    """Cash that arrived on an account according to the bank, waiting to be matched; private."""

    class State(models.TextChoices):
        UNMATCHED = "unmatched", _("Unmatched")
        MATCHED = "matched", _("Matched")
        REFUSED = "refused", _("Sent back")

    account = models.ForeignKey(
        Account, null=True, blank=True, on_delete=models.PROTECT, related_name="bank_entries"
    )
    portfolio = models.ForeignKey(
        Portfolio, null=True, blank=True, on_delete=models.PROTECT, related_name="bank_entries"
    )
    amount = MoneyField(_("amount"))
    currency = CurrencyField(_("currency"))
    value_date = models.DateField(_("value date"))
    payer = models.CharField(_("payer"), max_length=200, blank=True)
    reference = models.CharField(_("payment reference"), max_length=140, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.UNMATCHED)
    instruction = models.ForeignKey(
        "clients.ClientInstruction",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="bank_entries",
    )
    transaction = models.OneToOneField(
        Transaction, null=True, blank=True, on_delete=models.PROTECT, related_name="bank_entry"
    )
    note = models.CharField(_("note"), max_length=200, blank=True)
    matched_by_name = models.CharField(max_length=150, blank=True)
    matched_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-value_date"]
        verbose_name_plural = "bank entries"

    def __str__(self) -> str:
        return formatting.money(self.amount, self.currency)


class Benchmark(Record):
    """A mix of securities' prices that portfolios are compared with."""

    code = models.CharField(_("code"), max_length=30)
    name = models.CharField(_("name"), max_length=150)
    currency = CurrencyField(_("currency"))

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["origin", "code"], nulls_distinct=False, name="benchmark_code_unique_per_owner"
            )
        ]

    def __str__(self) -> str:
        return self.name


class BenchmarkValue(Record):
    """A benchmark's level on a day."""

    # Its index is the one that begins with it.
    benchmark = models.ForeignKey(Benchmark, on_delete=models.CASCADE, related_name="values", db_index=False)
    date = models.DateField(_("date"))
    level = models.DecimalField(_("level"), max_digits=24, decimal_places=10)

    class Meta:
        ordering = ["date"]
        constraints = [
            models.UniqueConstraint(fields=["benchmark", "date"], name="benchmarkvalue_unique_per_day")
        ]

    def __str__(self) -> str:
        return f"{self.benchmark} {self.date}"
