"""Models, versions, views and offers for tests."""

import datetime
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.models import User
from models_portfolio.calculations.weights import Key
from models_portfolio.effective import ModelBook, today
from models_portfolio.models import ModelPortfolio, ModelVersion, Target, View
from models_portfolio.services import TargetLine, create_model, publish, save_draft
from portfolios.models import Price, Security
from tests.federation.received import as_mirror as as_mirror
from tests.portfolios import make

D = Decimal


ISINS = {
    "Apple": "US0378331005",
    "Microsoft": "US5949181045",
    "Nestlé": "CH0038863350",
    "Bund": "DE0001102580",
}


def security(name: str, price: str | int = 100, currency: str = "EUR", **fields: Any) -> Security:
    """Return a security of this name with a price of yesterday."""
    found = Security.objects.filter(isin=ISINS[name]).first()
    if found is None:
        found = make.security(ISINS[name], name, currency, **fields)
        price_of(found, price)
    return found


def price_of(security: Security, price: str | int, days_ago: int = 1) -> Price:
    """Set a price of some days ago."""
    row, _is_new = Price.objects.update_or_create(
        security=security,
        source=make.source(),
        date=today() - datetime.timedelta(days=days_ago),
        currency=security.currency,
        defaults={"close": D(price)},
    )
    return row


def line(what: Security | ModelPortfolio | None, weight: str, **fields: Any) -> TargetLine:
    """Return a line of a draft: a security, a model, or cash for None."""
    if isinstance(what, Security):
        return TargetLine(security=what, weight=D(weight), **fields)
    return TargetLine(sub_model=what, weight=D(weight), **fields)


def model(by: User, code: str = "BAL", **fields: Any) -> ModelPortfolio:
    """Return a model with an empty first draft."""
    fields = {"name": f"Model {code}", "currency": "EUR", "risk_level": 4, **fields}
    return create_model(code=code, by=by, **fields)


def published(
    by: User, weights: Mapping[Security | ModelPortfolio | None, str], code: str = "BAL", **fields: Any
) -> ModelPortfolio:
    """Return a model whose first version, with these weights, is in force."""
    new = model(by, code, **fields)
    draft = new.versions.get()
    save_draft(version=draft, lines=[line(what, weight) for what, weight in weights.items()], by=by)
    publish(version=draft, by=by)
    return new


def received(
    weights: Mapping[Security | ModelPortfolio | None, str],
    code: str = "RCV",
    origin: uuid.UUID | None = None,
) -> ModelPortfolio:
    """Return a model as the mirror would write it, with one published version that nobody has accepted."""
    origin = origin or uuid.uuid4()
    with as_mirror():
        new = ModelPortfolio.objects.create(
            code=code, name=f"Received {code}", currency="EUR", risk_level=4, origin=origin
        )
    received_version(new, weights)
    return new


def received_version(
    of: ModelPortfolio, weights: Mapping[Security | ModelPortfolio | None, str], number: int = 1
) -> ModelVersion:
    """Return a version of a received model as the mirror would write it."""
    with as_mirror():
        version = ModelVersion.objects.create(
            model=of,
            number=number,
            state=ModelVersion.State.PUBLISHED,
            effective_from=today(),
            published_at=timezone.now(),
            origin=of.origin,
        )
        Target.objects.bulk_create(
            Target(
                version=version,
                security=what if isinstance(what, Security) else None,
                sub_model=what if isinstance(what, ModelPortfolio) else None,
                weight=D(weight),
                origin=of.origin,
            )
            for what, weight in weights.items()
        )
    return version


def received_view(version: ModelVersion, on: Security, tilt: str) -> View:
    """Return a view as the mirror would write it."""
    with as_mirror():
        return View.objects.create(
            version=version,
            security=on,
            tilt=D(tilt),
            rationale="Earnings",
            valid_from=today(),
            published_at=timezone.now(),
            origin=version.origin,
        )


def current_targets(model: ModelPortfolio, day: datetime.date | None = None) -> dict[Key, Decimal] | None:
    """Return a model's weights in force on a day, today else, or None where it has none."""
    return ModelBook(day or today()).weights(model.pk)
