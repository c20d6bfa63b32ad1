"""The managers' models, their versions, views and offers."""

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.utils import timezone

from accounts.models import Unit
from federation.demo.history import Market
from federation.demo.reference import create_benchmark
from models_portfolio.models import ModelPortfolio, ModelVersion, Offer, Target, View
from portfolios.models import Security


@dataclass(frozen=True)
class DemoVersion:
    """Weights in percent by ticker, from so many days ago; the rest is cash."""

    days_ago: int
    comment: str
    weights: Mapping[str, float]


@dataclass(frozen=True)
class DemoModel:
    """A model with its versions, oldest first."""

    code: str
    name: str
    description: str
    risk_level: int
    fee: str
    minimum: int
    horizon: int
    benchmark: tuple[str, str, Mapping[str, float]]
    versions: tuple[DemoVersion, ...]


def _world(share: float) -> tuple[str, str, Mapping[str, float]]:
    percent = round(share * 100)
    return (
        f"WORLD{percent}",
        f"{percent}% world equities, {100 - percent}% euro bonds",
        {"EUNL": share, "EUNH": 1 - share},
    )


AURORA: tuple[DemoModel, ...] = (
    DemoModel(
        "AUR-DEF", "Aurora Defensive", "Mostly bonds, with a few steady shares.", 2, "0.0070", 40_000, 4,
        _world(0.2),
        (
            DemoVersion(1150, "First version", {"EUNH": 25, "EUN5": 25, "EUNA": 15, "XEON": 10, "EUNL": 12, "NESN": 3, "NOVN": 3, "PPFB": 4}),
            DemoVersion(420, "Longer bonds at better yields", {"EUNH": 20, "EUN5": 25, "BUND33": 10, "XEON": 10, "EUNA": 10, "EUNL": 12, "NESN": 3, "NOVN": 3, "PPFB": 4}),
        ),
    ),
    DemoModel(
        "AUR-BAL", "Aurora Balanced", "Shares and bonds in equal measure, across regions.", 4, "0.0090", 60_000, 6,
        _world(0.5),
        (
            DemoVersion(1150, "First version", {"EUNL": 22, "NESN": 4, "ROG": 4, "AAPL": 4, "MSFT": 4, "SIE": 4, "AZN": 3, "7203": 2, "EUNH": 18, "EUN5": 18, "PPFB": 5, "IQQ6": 4, "XEON": 5}),
            DemoVersion(760, "Less property, more health care", {"EUNL": 22, "NESN": 4, "NOVN": 3, "ROG": 4, "AAPL": 4, "MSFT": 4, "SIE": 4, "AZN": 3, "7203": 2, "EUNH": 18, "EUN5": 18, "PPFB": 5, "IQQ6": 2, "XEON": 4}),
            DemoVersion(380, "Government bonds bought directly", {"EUNL": 22, "NESN": 4, "NOVN": 3, "ROG": 4, "AAPL": 4, "MSFT": 5, "SIE": 4, "AZN": 3, "7203": 2, "EUNH": 10, "BUND34": 8, "EUN5": 18, "PPFB": 5, "IQQ6": 2, "XEON": 3}),
            DemoVersion(20, "Technology trimmed after its run, more gold", {"EUNL": 20, "NESN": 5, "NOVN": 4, "ROG": 4, "AAPL": 3, "MSFT": 4, "SIE": 4, "AZN": 3, "7203": 2, "EUNH": 10, "BUND34": 8, "EUN5": 18, "PPFB": 8, "IQQ6": 2, "XEON": 2}),
        ),
    ),
    DemoModel(
        "AUR-GRO", "Aurora Growth", "Mostly shares, for a long horizon.", 6, "0.0110", 80_000, 10,
        _world(0.9),
        (
            DemoVersion(1150, "First version", {"EUNL": 25, "IS3N": 6, "AAPL": 6, "MSFT": 7, "NVDA": 6, "JPM": 5, "SAP": 5, "ASML": 6, "MC": 4, "UBSG": 4, "NOVN": 4, "AZN": 4, "6758": 4, "PPFB": 4, "EUN5": 8}),
            DemoVersion(540, "Luxury sold", {"EUNL": 28, "IS3N": 6, "AAPL": 6, "MSFT": 7, "NVDA": 6, "JPM": 6, "SAP": 6, "ASML": 6, "UBSG": 4, "NOVN": 4, "AZN": 4, "6758": 4, "PPFB": 4, "EUN5": 7}),
        ),
    ),
)  # fmt: skip

BOREALIS: tuple[DemoModel, ...] = (
    DemoModel(
        "BOR-INC", "Borealis Income", "Dividends and coupons from solid companies and states.", 3, "0.0080", 40_000, 5,
        _world(0.4),
        (
            DemoVersion(1100, "First version", {"VGWL": 12, "ZURN": 6, "ALV": 6, "TTE": 5, "XOM": 4, "PG": 4, "KO": 4, "DGE": 3, "EUN5": 25, "EUNH": 20, "UST34": 7}),
            DemoVersion(450, "More insurers", {"VGWL": 12, "ZURN": 8, "ALV": 8, "TTE": 4, "XOM": 3, "PG": 4, "KO": 4, "DGE": 3, "EUN5": 25, "EUNH": 18, "UST34": 7}),
        ),
    ),
    DemoModel(
        "BOR-EQ", "Borealis Equity Select", "Twenty names we know well.", 6, "0.0120", 100_000, 10,
        _world(1.0),
        (
            DemoVersion(1100, "First version", {"ABBN": 8, "ZURN": 8, "NESN": 7, "SIE": 8, "ALV": 8, "AI": 8, "TTE": 6, "MSFT": 9, "GOOGL": 9, "JPM": 8, "HD": 6, "JNJ": 6, "6758": 5}),
        ),
    ),
)  # fmt: skip


def fractions(version: DemoVersion) -> dict[str, Decimal]:
    """Return the version's weights as fractions by ticker, without cash."""
    return {ticker: Decimal(str(weight)) / 100 for ticker, weight in version.weights.items()}


def create_models(
    models: tuple[DemoModel, ...],
    unit: Unit,
    author: str,
    securities: Mapping[str, Security],
    market: Market,
    today: datetime.date,
) -> dict[str, ModelPortfolio]:
    """Create a manager's models with their published versions; returns them by code."""
    created = {}
    for demo in models:
        code, name, mix = demo.benchmark
        model = created[demo.code] = ModelPortfolio.objects.create(
            code=demo.code,
            name=demo.name,
            description=demo.description,
            currency="EUR",
            risk_level=demo.risk_level,
            benchmark=create_benchmark(code, name, mix, market),
            drift_tolerance=Decimal("0.05"),
            unit=unit,
        )
        for number, demo_version in enumerate(demo.versions, start=1):
            day = today - datetime.timedelta(demo_version.days_ago)
            weights = fractions(demo_version)
            version = ModelVersion.objects.create(
                model=model,
                number=number,
                effective_from=day,
                comment=demo_version.comment,
            )
            Target.objects.bulk_create(
                [
                    Target(version=version, security=securities[ticker], weight=weight)
                    for ticker, weight in weights.items()
                ]
                + [Target(version=version, weight=1 - sum(weights.values()), is_locked=True)]
            )
            ModelVersion.objects.filter(pk=version.pk).update(
                state=ModelVersion.State.PUBLISHED,
                published_at=at_nine(day),
                published_by_name=author,
            )
    return created


@dataclass(frozen=True)
class DemoView:
    """A view on the newest version of ``VIEWED``, which expires in so many days."""

    asset_class: str
    tilt: str
    rationale: str
    days: int


VIEWED = "AUR-BAL"
VIEWS = (
    DemoView(Security.AssetClass.EQUITY, "0.02", "Earnings have held up better than prices suggest.", 5),
    DemoView(
        Security.AssetClass.FIXED_INCOME,
        "-0.01",
        "Yields leave little cushion against a surprise in inflation.",
        90,
    ),
)


def create_views(model: ModelPortfolio, author: str, today: datetime.date) -> None:
    """Publish the views on a model's newest version: one expires in five days, one in a quarter."""
    version = model.versions.order_by("-number")[0]
    since = today - datetime.timedelta(15)
    for demo in VIEWS:
        View.objects.create(
            version=version,
            asset_class=demo.asset_class,
            tilt=Decimal(demo.tilt),
            rationale=demo.rationale,
            valid_from=since,
            valid_to=today + datetime.timedelta(demo.days),
            published_at=at_nine(since),
            published_by_name=author,
        )


def offer(demo: DemoModel, model: ModelPortfolio, agreement: uuid.UUID | None) -> Offer:
    """Offer a model under an agreement, or to the institution's own clients."""
    return Offer.objects.create(
        model=model,
        agreement=agreement,
        name=demo.name,
        summary=demo.description,
        risk_level=demo.risk_level,
        currency="EUR",
        minimum_amount=Decimal(demo.minimum),
        management_fee=Decimal(demo.fee),
        custody_fee=Decimal("0.0015"),
        product_cost=Decimal("0.0018"),
        horizon_years=demo.horizon,
    )


def at_nine(day: datetime.date) -> datetime.datetime:
    """Return nine o'clock UTC of a day; of today no later than now."""
    return min(datetime.datetime.combine(day, datetime.time(9), tzinfo=datetime.UTC), timezone.now())
