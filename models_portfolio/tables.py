"""Lists of models."""

from typing import ClassVar

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from accounts.columns import DateColumn, LinkColumn, NumberColumn, OriginColumn, PercentColumn, StateColumn
from models_portfolio.filters import DECISIONS
from models_portfolio.models import ModelPortfolio


class ModelTable(tables.Table):
    """Models with the version in force and who follows."""

    name = LinkColumn(verbose_name=_("Model"), to="models_portfolio:model_detail")
    code = tables.Column(verbose_name=_("Code"))
    risk_level = NumberColumn(verbose_name=_("Risk"))
    version = NumberColumn(verbose_name=_("Version"), accessor="version_number")
    effective = DateColumn(verbose_name=_("In force since"), accessor="version_from")
    state = StateColumn(
        verbose_name=_("Draft"),
        accessor="draft_state",
        labels={"draft": _("Draft open")},
        default="",
        orderable=False,
    )
    followers = NumberColumn(verbose_name=_("Portfolios"), accessor="follower_count")
    average_drift = PercentColumn(verbose_name=_("Average drift"), accessor="average_drift")
    drifted = NumberColumn(verbose_name=_("Outside tolerance"), accessor="drifted_count")
    origin = OriginColumn()

    class Meta:
        model = ModelPortfolio
        fields = ("name", "code", "risk_level", "currency")
        sequence = (
            "name", "code", "risk_level", "currency", "version", "effective", "state", "followers",
            "average_drift", "drifted", "origin",
        )  # fmt: skip
        order_by = "name"


class ReceivedTable(tables.Table):
    """Received models with what waits for a decision."""

    name = LinkColumn(verbose_name=_("Model"), to="models_portfolio:received_detail")
    origin = OriginColumn()
    risk_level = NumberColumn(verbose_name=_("Risk"))
    adopted = NumberColumn(verbose_name=_("Followed version"), accessor="adopted_number")
    newest = NumberColumn(verbose_name=_("Newest version"), accessor="newest_number")
    published = DateColumn(verbose_name=_("Published"), accessor="newest_published")
    decision = StateColumn(
        verbose_name=_("Your decision"),
        accessor="decision",
        labels=DECISIONS,
    )
    followers = NumberColumn(verbose_name=_("Own portfolios"), accessor="follower_count")

    class Meta:
        model = ModelPortfolio
        fields = ("name", "origin", "risk_level")
        order_by = "name"
        attrs: ClassVar[dict[str, str]] = {"class": "table-stack"}
