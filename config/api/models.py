"""Model portfolios: what is offered, the versions with their targets, views, and decisions on received ones."""

from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from rest_framework import serializers

from config.api.base import Listed, RecordSerializer, SecurityName, shown
from models_portfolio.models import Adoption, ModelPortfolio, ModelVersion, Offer, Target, View
from portfolios.models import Security


class OfferSerializer(RecordSerializer):
    """A model on offer; fees are fractions a year."""

    class Meta:
        model = Offer
        fields = read_only_fields = shown(
            "model agreement name summary risk_level currency minimum_amount management_fee custody_fee"
            " product_cost horizon_years target_market documents is_open"
        )


class ModelPortfolioSerializer(RecordSerializer):
    """A plan that portfolios follow."""

    class Meta:
        model = ModelPortfolio
        fields = read_only_fields = shown(
            "code name description currency risk_level benchmark drift_tolerance"
        )


class ModelTargetSerializer(RecordSerializer):
    """A line of a version: a security, another model, or cash where both are null; weights are fractions."""

    security = SecurityName(read_only=True, allow_null=True)

    class Meta:
        model = Target
        fields = read_only_fields = shown("security sub_model weight minimum_weight maximum_weight is_locked")


class ModelVersionSerializer(RecordSerializer):
    """The weights of a model from a day on; published ones never change."""

    targets = ModelTargetSerializer(many=True, read_only=True)

    class Meta:
        model = ModelVersion
        fields = read_only_fields = shown(
            "model number state effective_from comment published_at published_by_name targets"
        )


class ModelViewSerializer(RecordSerializer):
    """A view on a security or an asset class of a version; ``tilt`` is in percentage points as a fraction."""

    asset_class = serializers.ChoiceField(
        choices=Security.AssetClass.choices,
        allow_blank=True,
        read_only=True,
        help_text="Empty for one security.",
    )
    security = SecurityName(read_only=True, allow_null=True)

    class Meta:
        model = View
        fields = read_only_fields = shown(
            "version security asset_class tilt rationale valid_from valid_to published_at published_by_name"
        )


class AdoptionSerializer(RecordSerializer):
    """This institution's decision on a received version, or where ``view`` is not null on that view of it."""

    class Meta:
        model = Adoption
        fields = read_only_fields = shown("version view decision reason decided_at decided_by_name")


class VersionFilter(django_filters.FilterSet):
    """Narrow versions down."""

    model = django_filters.UUIDFilter(field_name="model_id")

    class Meta:
        model = ModelVersion
        fields = ("state",)


class ViewFilter(django_filters.FilterSet):
    """Narrow views down."""

    version = django_filters.UUIDFilter(field_name="version_id")
    model = django_filters.UUIDFilter(field_name="version__model_id")

    class Meta:
        model = View
        fields = ("asset_class",)


class AdoptionFilter(django_filters.FilterSet):
    """Narrow decisions down."""

    version = django_filters.UUIDFilter(field_name="version_id")
    model = django_filters.UUIDFilter(field_name="version__model_id")

    class Meta:
        model = Adoption
        fields = ("decision",)


class Offers(Listed):
    """Offers of this institution and of its partners."""

    queryset = Offer.objects.all()
    serializer_class = OfferSerializer
    filterset_fields = ("is_open", "risk_level", "currency")
    orderings = ("name", "id", "risk_level")


class Models(Listed):
    """Models of this institution and of its partners."""

    queryset = ModelPortfolio.objects.all()
    serializer_class = ModelPortfolioSerializer
    filterset_fields = ("code", "currency", "risk_level")
    orderings = ("name", "id", "code", "risk_level")


class Versions(Listed):
    """Versions of models with their targets."""

    queryset = ModelVersion.objects.prefetch_related(
        Prefetch("targets", Target.objects.current().select_related("security").order_by("-weight", "pk"))
    )
    serializer_class = ModelVersionSerializer
    filterset_class = VersionFilter
    orderings = ("-effective_from", "id", "number")


class Views(Listed):
    """Views on models."""

    queryset = View.objects.select_related("security")
    serializer_class = ModelViewSerializer
    filterset_class = ViewFilter
    orderings = ("-valid_from", "id")


class Adoptions(Listed):
    """Decisions on received versions and views."""

    queryset = Adoption.objects.all()
    serializer_class = AdoptionSerializer
    filterset_class = AdoptionFilter
    orderings = ("-decided_at", "id")

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return super().narrow(queryset).filter(version__retired_at=None)
