"""Reference data: securities, where they are listed, prices and exchange rates."""

import uuid
from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.fields import CurrencyField, PriceField, QuantityField, RateField
from accounts.records import Record
from portfolios.querysets import SecurityQuerySet

# Two institutions that know a security derive the same id for it without asking each other.
SECURITY_NAMESPACE = uuid.UUID("6f1d3c1a-7a53-5d0c-9a53-3c9f6f5a1e10")


def security_id(isin: str) -> uuid.UUID:
    """Return the id of the security with this ISIN (UUIDv5)."""
    return uuid.uuid5(SECURITY_NAMESPACE, isin.strip().upper())


def listing_id(isin: str, mic: str, currency: str) -> uuid.UUID:
    """Return the id of the listing of an ISIN on a market in a currency (UUIDv5)."""
    return uuid.uuid5(SECURITY_NAMESPACE, f"{isin}/{mic}/{currency}".upper())


class Security(Record):
    """Something that can be held: a share, fund, bond or the like."""

    class AssetClass(models.TextChoices):
        EQUITY = "equity", _("Equities")
        FIXED_INCOME = "fixed_income", _("Fixed income")
        REAL_ESTATE = "real_estate", _("Real estate")
        COMMODITY = "commodity", _("Commodities")
        ALTERNATIVE = "alternative", _("Alternatives")
        MONEY_MARKET = "money_market", _("Money market")

    class Kind(models.TextChoices):
        SHARE = "share", _("Share")
        FUND = "fund", _("Fund")
        BOND = "bond", _("Bond")

    class PriceUnit(models.TextChoices):
        PER_UNIT = "per_unit", _("Per unit")
        PERCENT = "percent", _("Percent of nominal")

    isin = models.CharField(_("ISIN"), max_length=12, null=True, blank=True, unique=True)
    name = models.CharField(_("name"), max_length=200)
    ticker = models.CharField(_("ticker"), max_length=20, blank=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.SHARE)
    asset_class = models.CharField(_("asset class"), max_length=20, choices=AssetClass)
    sector = models.CharField(_("sector"), max_length=60, blank=True)
    country = models.CharField(_("country"), max_length=2, blank=True)
    currency = CurrencyField(_("currency"))
    price_unit = models.CharField(_("quoted"), max_length=10, choices=PriceUnit, default=PriceUnit.PER_UNIT)
    lot_size = QuantityField(_("smallest tradable quantity"), default=1)
    quantity_decimals = models.PositiveSmallIntegerField(_("decimals of the quantity"), default=0)
    coupon_rate = models.DecimalField(
        _("coupon, % a year"), max_digits=8, decimal_places=5, null=True, blank=True
    )
    maturity_date = models.DateField(_("maturity"), null=True, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    replaced_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="replaces"
    )

    objects = SecurityQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "securities"

    def __str__(self) -> str:
        return self.name

    @property
    def coupon(self) -> Decimal | None:
        """Return the coupon a year as a fraction; None where there is none."""
        return self.coupon_rate / 100 if self.coupon_rate else None


class Listing(Record):
    """A security as traded on one market in one currency."""

    # Its index is the one that begins with it.
    security = models.ForeignKey(Security, on_delete=models.PROTECT, related_name="listings", db_index=False)
    mic = models.CharField(_("market (MIC)"), max_length=4)
    currency = CurrencyField(_("currency"))
    ticker = models.CharField(_("ticker"), max_length=20, blank=True)
    is_primary = models.BooleanField(_("primary"), default=True)

    class Meta:
        ordering = ["mic"]
        constraints = [models.UniqueConstraint(fields=["security", "mic", "currency"], name="listing_unique")]

    def __str__(self) -> str:
        return f"{self.ticker} {self.mic}"


class PriceSource(Record):
    """Where prices and rates come from, and whether they may be passed on."""

    code = models.CharField(_("code"), max_length=30)
    name = models.CharField(_("name"), max_length=120)
    is_redistributable = models.BooleanField(_("may be passed on to partners"), default=False)
    is_simulated = models.BooleanField(_("simulated"), default=False)
    # Private: lower comes first where several sources know a price.
    preference = models.PositiveSmallIntegerField(_("order of preference"), default=100)

    class Meta:
        ordering = ["preference", "code"]
        constraints = [
            models.UniqueConstraint(
                fields=["origin", "code"], nulls_distinct=False, name="pricesource_code_unique_per_owner"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Price(Record):
    """A closing price of a security on a day, from one source."""

    # Its index is the one that begins with it.
    security = models.ForeignKey(Security, on_delete=models.PROTECT, related_name="prices", db_index=False)
    source = models.ForeignKey(PriceSource, on_delete=models.PROTECT, related_name="prices")
    date = models.DateField(_("date"))
    close = PriceField(_("close"))
    currency = CurrencyField(_("currency"))

    class Meta:
        ordering = ["-date"]
        constraints = [
            models.UniqueConstraint(
                fields=["security", "date", "source", "currency"], name="price_unique_per_day_and_source"
            ),
            models.CheckConstraint(
                condition=Q(close__gt=0),
                name="price_positive",
                violation_error_message=_("A price is above zero."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.security} {self.date}"


class ExchangeRate(Record):
    """Units of ``currency`` for one euro on a day, from one source (the ECB's way of quoting)."""

    source = models.ForeignKey(PriceSource, on_delete=models.PROTECT, related_name="exchange_rates")
    date = models.DateField(_("date"))
    currency = CurrencyField(_("currency"))
    rate = RateField(_("rate"))

    class Meta:
        ordering = ["-date"]
        constraints = [
            models.UniqueConstraint(
                fields=["currency", "date", "source"], name="exchangerate_unique_per_day_and_source"
            ),
            models.CheckConstraint(condition=Q(rate__gt=0), name="exchangerate_positive"),
        ]

    def __str__(self) -> str:
        return f"EUR/{self.currency} {self.date}"


class ImportBatch(models.Model):
    """One import of a file, so that it can be shown, and undone as a whole; private."""

    class State(models.TextChoices):
        PREVIEW = "preview", _("Preview")
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        UNDONE = "undone", _("Undone")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=30)
    file_name = models.CharField(max_length=200)
    content = models.BinaryField()
    source = models.ForeignKey(PriceSource, null=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.PREVIEW)
    summary = models.JSONField(default=dict)
    options = models.JSONField(default=dict)
    # What changed rows said before, so that the import can be undone.
    before = models.BinaryField(null=True)
    rows_total = models.PositiveIntegerField(default=0)
    rows_done = models.PositiveIntegerField(default=0)
    created_by_name = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = _("import batches")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.file_name

    @property
    def may_be_undone(self) -> bool:
        """Say whether it is done, or failed after it had written something."""
        has_written = bool(self.rows_done or self.summary.get("made"))
        return self.state == self.State.DONE or (self.state == self.State.FAILED and has_written)
