"""What the sales side hands to the next manager of a client: positions, lots, dates and costs."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.fields import CurrencyField, MoneyField, PriceField, QuantityField, RateField
from accounts.records import Record
from clients.models import Mandate
from portfolios.models.reference import Security
from portfolios.querysets import HandoverQuerySet


class Handover(Record):
    """The sales side's own account of a portfolio that moves on, under the mandate that takes it over.

    It names neither the former manager nor their portfolio. ``time_weighted_return`` is the net return
    since ``performance_from`` up to ``as_of``; null where it is not available. The positions are those of
    the submission, and final once ``booked_out_on`` says that the former manager has booked them out:
    then they are what was booked out, and are taken over. ``value`` is theirs in ``currency``, at the former
    manager's prices, and stays at home.
    """

    mandate = models.OneToOneField(Mandate, on_delete=models.PROTECT, related_name="handover")
    as_of = models.DateField(_("as of"))
    currency = CurrencyField(_("currency"))
    performance_from = models.DateField(_("performance since"), null=True, blank=True)
    time_weighted_return = RateField(_("time-weighted return"), null=True, blank=True)
    booked_out_on = models.DateField(_("booked out by the former manager"), null=True, blank=True)
    value = MoneyField(_("value"), null=True, blank=True)

    objects = HandoverQuerySet.as_manager()

    class Meta:
        verbose_name = _("handover")

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.as_of}"

    def listed(self) -> "list[HandoverPosition]":
        """Return the positions as they are read: by name, the oldest lot first, cash last."""
        return sorted(
            self.positions.current(),
            key=lambda each: (each.is_cash, each.security_name, each.currency, str(each.acquired_on or "")),
        )


class HandoverPosition(Record):
    """A lot of a security as it was first bought, or cash in one currency where ``isin`` and name are empty.

    Securities are named by what identifies them anywhere. ``book_cost`` is in ``currency``, that of the
    security; ``book_cost_portfolio`` in the handover's. ``price`` is from a source of the sales side's own
    that may be passed on, null where there is none. ``value`` is the part of the handover's that is booked out
    with it, and stays at home too. Its transfer in names it as ``reference``.
    """

    handover = models.ForeignKey(Handover, on_delete=models.CASCADE, related_name="positions")
    isin = models.CharField(_("ISIN"), max_length=12, blank=True)
    security_name = models.CharField(_("security"), max_length=200, blank=True)
    asset_class = models.CharField(_("asset class"), max_length=20, blank=True, choices=Security.AssetClass)
    price_unit = models.CharField(
        _("price per"), max_length=10, choices=Security.PriceUnit, default=Security.PriceUnit.PER_UNIT
    )
    currency = CurrencyField(_("currency"))
    quantity = QuantityField(_("quantity"))
    acquired_on = models.DateField(_("acquired"), null=True, blank=True)
    book_cost = MoneyField(_("book cost"), null=True, blank=True)
    book_cost_portfolio = MoneyField(_("book cost in the portfolio's currency"), null=True, blank=True)
    price = PriceField(_("price"), null=True, blank=True)
    price_date = models.DateField(_("price of"), null=True, blank=True)
    price_source_name = models.CharField(_("price from"), max_length=120, blank=True)
    is_price_simulated = models.BooleanField(default=False)
    value = MoneyField(_("value"), null=True, blank=True)

    class Meta:
        ordering = ["isin", "security_name", "acquired_on"]
        verbose_name = _("position handed over")
        verbose_name_plural = _("positions handed over")

    def __str__(self) -> str:
        return self.security_name or self.currency

    @property
    def is_cash(self) -> bool:
        """Say whether this is cash."""
        return not self.isin and not self.security_name

    @property
    def lacks_price(self) -> bool:
        """Say whether this is a security of which no price could be handed over."""
        return self.price is None and not self.is_cash
