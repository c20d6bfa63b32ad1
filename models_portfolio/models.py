"""Model portfolios: what is offered, which weights, which views, and which portfolio follows."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.fields import CurrencyField, MoneyField, WeightField
from accounts.formatting import points
from accounts.models import Unit
from accounts.records import Record
from models_portfolio.querysets import ModelQuerySet, ModelRecordQuerySet, OfferQuerySet
from portfolios.models import Benchmark, Portfolio, Security


class ModelPortfolio(Record):
    """A named investment plan that portfolios follow."""

    code = models.CharField(_("code"), max_length=30)
    name = models.CharField(_("name"), max_length=150)
    description = models.TextField(_("description"), blank=True)
    currency = CurrencyField(_("currency"))
    risk_level = models.PositiveSmallIntegerField(_("risk level"))
    benchmark = models.ForeignKey(
        Benchmark, null=True, blank=True, on_delete=models.PROTECT, related_name="model_portfolios"
    )
    # A portfolio this far from target, in one-way turnover, needs attention.
    drift_tolerance = WeightField(_("tolerated drift"), default="0.05")
    # Private.
    unit = models.ForeignKey(
        Unit,
        verbose_name=_("desk"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="model_portfolios",
    )

    objects = ModelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["origin", "code"],
                nulls_distinct=False,
                name="modelportfolio_code_unique_per_owner",
                violation_error_message=_("This model code is taken. Choose another."),
            ),
            models.CheckConstraint(
                condition=Q(risk_level__gte=1, risk_level__lte=7), name="modelportfolio_risk_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Offer(Record):
    """A model put on offer: under one agreement to its channel, or to the institution's own clients.

    ``agreement`` is an opaque id; null means the institution's own clients. ``is_open`` says
    whether new mandates may choose it. Fees are fractions a year.
    """

    model = models.ForeignKey(ModelPortfolio, on_delete=models.PROTECT, related_name="offers")
    agreement = models.UUIDField(null=True, blank=True, db_index=True)
    name = models.CharField(_("name"), max_length=150)
    summary = models.TextField(_("in plain words"), blank=True)
    risk_level = models.PositiveSmallIntegerField(_("risk level"))
    currency = CurrencyField(_("currency"))
    minimum_amount = MoneyField(_("minimum"), default=0)
    management_fee = WeightField(_("management fee a year"), default=0)
    custody_fee = WeightField(_("custody fee a year"), default=0)
    product_cost = WeightField(_("cost of the funds a year"), default=0)
    horizon_years = models.PositiveSmallIntegerField(_("suggested horizon in years"), default=5)
    target_market = models.JSONField(_("target market"), default=dict, blank=True)
    documents = models.JSONField(_("documents"), default=list, blank=True)
    is_open = models.BooleanField(_("open for new mandates"), default=True)

    objects = OfferQuerySet.as_manager()

    class Meta:
        ordering = ["risk_level", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "agreement"],
                nulls_distinct=False,
                name="offer_once_per_agreement",
                violation_error_message=_("This model is already offered there."),
            ),
            models.CheckConstraint(
                condition=Q(risk_level__gte=1, risk_level__lte=7), name="offer_risk_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def total_cost(self) -> object:
        """Return all yearly costs together, as a fraction."""
        return self.management_fee + self.custody_fee + self.product_cost


class ModelVersion(Record):
    """The weights of a model from a date on; immutable once published, in the database too."""

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PUBLISHED = "published", _("Published")

    model = models.ForeignKey(ModelPortfolio, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT)
    effective_from = models.DateField(_("effective from"))
    comment = models.TextField(_("why it changed"), blank=True)
    published_at = models.DateTimeField(_("published"), null=True, blank=True)
    published_by_name = models.CharField(max_length=150, blank=True)

    objects = ModelRecordQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="modelversion_number_unique"),
            models.UniqueConstraint(
                fields=["model"],
                condition=Q(state="draft"),
                name="modelversion_one_draft",
                violation_error_message=_("This model has a draft already. Publish or discard it first."),
            ),
            models.CheckConstraint(
                condition=~Q(state="published") | Q(published_at__isnull=False),
                name="modelversion_published_with_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} v{self.number}"

    @property
    def is_draft(self) -> bool:
        """Say whether the version can still be edited."""
        return self.state == self.State.DRAFT


class Target(Record):
    """One line of a version: a security, cash (both null), or another model, with its weight."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="targets")
    security = models.ForeignKey(
        Security, null=True, blank=True, on_delete=models.PROTECT, related_name="targets"
    )
    sub_model = models.ForeignKey(
        ModelPortfolio, null=True, blank=True, on_delete=models.PROTECT, related_name="used_in"
    )
    weight = WeightField(_("weight"))
    minimum_weight = WeightField(_("at least"), default=0)
    maximum_weight = WeightField(_("at most"), default=1)
    is_locked = models.BooleanField(_("locked"), default=False)

    objects = ModelRecordQuerySet.as_manager()

    class Meta:
        ordering = ["-weight"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "security", "sub_model"],
                nulls_distinct=False,
                name="target_once_per_version",
            ),
            models.CheckConstraint(
                condition=Q(weight__gte=0, weight__lte=1),
                name="target_weight_in_range",
                violation_error_message=_("A weight lies between 0% and 100%."),
            ),
            models.CheckConstraint(
                condition=Q(security__isnull=True) | Q(sub_model__isnull=True), name="target_names_one_thing"
            ),
        ]

    def __str__(self) -> str:
        return str(self.security or self.sub_model or _("Cash"))


class View(Record):
    """The manager's view on a component or an asset class of one version, in percentage points."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="views")
    security = models.ForeignKey(
        Security, null=True, blank=True, on_delete=models.PROTECT, related_name="views"
    )
    asset_class = models.CharField(_("asset class"), max_length=20, choices=Security.AssetClass, blank=True)
    tilt = WeightField(_("over- or underweight"))
    rationale = models.TextField(_("rationale"))
    valid_from = models.DateField(_("valid from"))
    valid_to = models.DateField(_("valid to"), null=True, blank=True)
    published_at = models.DateTimeField(_("published"), null=True, blank=True)
    published_by_name = models.CharField(max_length=150, blank=True)

    objects = ModelRecordQuerySet.as_manager()

    class Meta:
        ordering = ["-valid_from"]
        constraints = [
            models.CheckConstraint(
                # A view withdrawn on its first day ends the day it begins: it never counted.
                condition=Q(valid_to__isnull=True) | Q(valid_to__gte=models.F("valid_from")),
                name="view_ends_after_start",
                violation_error_message=_("A view cannot end before it begins."),
            ),
            models.CheckConstraint(
                condition=Q(security__isnull=True) ^ Q(asset_class=""),
                name="view_on_one_thing",
                violation_error_message=_("Choose either a security or an asset class."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.security or self.get_asset_class_display()} {points(self.tilt)}"

    @property
    def is_published(self) -> bool:
        """Say whether followers see the view; one on a draft waits for the version."""
        return self.published_at is not None


class ModelAssignment(Record):
    """Which model a portfolio follows, from a date on."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="model_assignments")
    model = models.ForeignKey(ModelPortfolio, on_delete=models.PROTECT, related_name="assignments")
    valid_from = models.DateField(_("from"))
    valid_to = models.DateField(_("to"), null=True, blank=True)

    objects = ModelRecordQuerySet.as_manager()

    class Meta:
        ordering = ["-valid_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["portfolio"], condition=Q(valid_to__isnull=True), name="modelassignment_one_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.portfolio} → {self.model}"


class Adoption(Record):
    """This institution's own decision on a received version, or on a view on it; private.

    ``view`` is null for the decision on the version itself. Accepting a version accepts the views
    that are on it at that time; a later view waits for a decision of its own.
    """

    class Decision(models.TextChoices):
        ACCEPTED = "accepted", _("Accepted")
        DECLINED = "declined", _("Declined")

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="adoptions")
    view = models.ForeignKey(View, null=True, blank=True, on_delete=models.PROTECT, related_name="adoptions")
    decision = models.CharField(_("decision"), max_length=10, choices=Decision)
    reason = models.TextField(_("reason"), blank=True)
    decided_at = models.DateTimeField()
    decided_by_name = models.CharField(max_length=150, blank=True)

    objects = ModelRecordQuerySet.as_manager()

    class Meta:
        ordering = ["-decided_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "view"], nulls_distinct=False, name="adoption_once_per_version_and_view"
            ),
            models.CheckConstraint(
                condition=~Q(decision="declined") | ~Q(reason=""),
                name="adoption_declined_with_reason",
                violation_error_message=_("Say why you decline, so that it can be understood later."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.view or self.version} {self.decision}"
