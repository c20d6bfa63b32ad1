"""Reference data: securities, prices, exchange rates and benchmarks."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers

from config.api.base import Listed, RecordSerializer, shown
from portfolios.models import (
    Benchmark,
    BenchmarkValue,
    ExchangeRate,
    Listing,
    Price,
    PriceSource,
    Security,
)


class ListingSerializer(RecordSerializer):
    """A security as traded on one market."""

    class Meta:
        model = Listing
        fields = read_only_fields = shown("mic currency ticker is_primary")


class SecuritySerializer(RecordSerializer):
    """Something that can be held; its id follows from its ISIN, so institutions agree on it."""

    listings = ListingSerializer(many=True, read_only=True)

    class Meta:
        model = Security
        fields = read_only_fields = shown(
            "isin name ticker kind asset_class sector country currency price_unit lot_size quantity_decimals"
            " coupon_rate maturity_date is_active replaced_by listings"
        )


class SourceName(serializers.ModelSerializer):
    """Where a price comes from, and whether it is simulated."""

    class Meta:
        model = PriceSource
        fields = ("code", "name", "is_simulated")
        read_only_fields = fields


class PriceSerializer(RecordSerializer):
    """A closing price; of bonds in percent of nominal (the security's ``price_unit``)."""

    source = SourceName(read_only=True)  # type: ignore[assignment]

    class Meta:
        model = Price
        fields = read_only_fields = shown("security date close currency source")


class RateSerializer(RecordSerializer):
    """Units of a currency for one euro."""

    source = SourceName(read_only=True)  # type: ignore[assignment]

    class Meta:
        model = ExchangeRate
        fields = read_only_fields = shown("currency date rate source")


class BenchmarkSerializer(RecordSerializer):
    """What portfolios and models are compared with."""

    class Meta:
        model = Benchmark
        fields = read_only_fields = shown("code name currency")


class BenchmarkValueSerializer(RecordSerializer):
    """A benchmark's level at the close of a day, in its currency; levels count relative to each other."""

    class Meta:
        model = BenchmarkValue
        fields = read_only_fields = shown("benchmark date level")


class SecurityFilter(django_filters.FilterSet):
    """Narrow securities down."""

    name = django_filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = Security
        fields = ("isin", "ticker", "kind", "asset_class", "currency")


class DayFilter(django_filters.FilterSet):
    """Narrow rows of days down to a period, both days included."""

    date_from = django_filters.DateFilter(field_name="date", lookup_expr="gte")
    date_to = django_filters.DateFilter(field_name="date", lookup_expr="lte")


class PriceFilter(DayFilter):
    """Narrow prices down."""

    security = django_filters.UUIDFilter(field_name="security_id")
    isin = django_filters.CharFilter(field_name="security__isin")
    source = django_filters.CharFilter(field_name="source__code")

    class Meta:
        model = Price
        fields = ("security", "isin", "currency")


class RateFilter(DayFilter):
    """Narrow exchange rates down."""

    class Meta:
        model = ExchangeRate
        fields = ("currency",)


class BenchmarkValueFilter(DayFilter):
    """Narrow levels down."""

    benchmark = django_filters.UUIDFilter(field_name="benchmark_id")
    code = django_filters.CharFilter(field_name="benchmark__code")

    class Meta:
        model = BenchmarkValue
        fields: tuple[str, ...] = ()


class Securities(Listed):
    """Securities that this institution knows."""

    is_reference = True
    queryset = Security.objects.prefetch_related("listings")
    serializer_class = SecuritySerializer
    filterset_class = SecurityFilter
    orderings = ("name", "id", "currency")


class Shared(Listed):
    """Rows that everybody who signs in may read."""

    is_reference = True

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.current()  # type: ignore[attr-defined]


class Prices(Shared):
    """Closing prices, from all sources that are known."""

    queryset = Price.objects.select_related("source")
    serializer_class = PriceSerializer
    filterset_class = PriceFilter
    orderings = ("-date", "id")


class ExchangeRates(Shared):
    """Exchange rates, from all sources that are known."""

    queryset = ExchangeRate.objects.select_related("source")
    serializer_class = RateSerializer
    filterset_class = RateFilter
    orderings = ("-date", "id", "currency")


class Benchmarks(Shared):
    """Benchmarks, own and received."""

    queryset = Benchmark.objects.all()
    serializer_class = BenchmarkSerializer
    filterset_fields = ("code", "currency")
    orderings = ("name", "id", "code")


class BenchmarkValues(Shared):
    """Levels of benchmarks by day."""

    queryset = BenchmarkValue.objects.all()
    serializer_class = BenchmarkValueSerializer
    filterset_class = BenchmarkValueFilter
    orderings = ("-date", "id")
