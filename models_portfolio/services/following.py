"""Which portfolio follows which model, and how far it has drifted from it."""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User, audit
from clients.duties import Duty, require
from clients.models import MandateRestriction
from models_portfolio.calculations.drift import measure_drift, without
from models_portfolio.calculations.weights import CASH, ZERO, Key
from models_portfolio.effective import ModelBook, today
from models_portfolio.models import Adoption, ModelAssignment, ModelPortfolio, ModelVersion, Offer, Target
from portfolios.models import Holding, Portfolio, Security

PORTFOLIOS_AT_ONCE = 2_000


@transaction.atomic
def assign_model(
    *, portfolio: Portfolio, model: ModelPortfolio, by: User | None, valid_from: datetime.date | None = None
) -> ModelAssignment:
    """Let a portfolio follow a model from a day on, in the place of the one it follows."""
    _require_own_portfolio(portfolio)
    day = valid_from or today()
    portfolio = Portfolio.objects.select_for_update(of=("self",)).get(pk=portfolio.pk)
    current = portfolio.model_assignments.filter(valid_to__isnull=True).first()
    if current is not None:
        if current.model_id == model.pk:
            raise DomainError("follows_already", _("The portfolio follows this model already."))
        if current.valid_from > day:
            raise DomainError("assigned_later", _("A later assignment exists. Choose a day after it."))
        current.valid_to = day
        current.save(update_fields=["valid_to"])
    if model.is_received:
        adopt_first_version(model=model, by=by)
    assignment = ModelAssignment.objects.create(portfolio=portfolio, model=model, valid_from=day)
    audit("assigned", assignment, by=by, portfolio=str(portfolio.pk), model=str(model.pk))
    transaction.on_commit(lambda: _refresh_later([portfolio.pk]))
    return assignment


def _require_own_portfolio(portfolio: Portfolio) -> None:
    if portfolio.is_received:
        raise DomainError("received", _("Your partner manages this portfolio. Send an instruction instead."))
    require(Duty.MANAGEMENT, portfolio.mandate)


def adopt_first_version(*, model: ModelPortfolio, by: User | None) -> None:
    """Accept the newest version of a received model where none was accepted yet.

    Choosing a partner's model for a portfolio is the decision to use it as it stands.
    """
    accepted = Adoption.objects.filter(version__model=model, decision=Adoption.Decision.ACCEPTED)
    if accepted.exists():
        return
    newest = (
        ModelVersion.objects.current()
        .filter(model=model, state=ModelVersion.State.PUBLISHED, effective_from__lte=today())
        .order_by("-effective_from", "-number")
        .first()
    )
    if newest is None:
        raise DomainError(
            "nothing_published", _("Your partner has not published a version of this model yet.")
        )
    from models_portfolio.services.adoptions import accept

    accept(version=newest, by=by)


def model_of_offer(offer_id: uuid.UUID | None) -> ModelPortfolio | None:
    """Return the model behind an offer, where it is known here."""
    offer = Offer.objects.select_related("model").filter(pk=offer_id).first() if offer_id else None
    return offer.model if offer else None


@transaction.atomic
def change_model(*, portfolio: Portfolio, model: ModelPortfolio, by: User) -> ModelAssignment:
    """Move a portfolio to another model; the trades are a proposal of their own.

    Raises DomainError for a mandate that has ended, and for a model riskier than the client's profile.
    """
    mandate = portfolio.mandate
    if mandate is not None and mandate.retired_at is not None:
        raise DomainError(
            "mandate_ended",
            _("The mandate is not managed any more: the portfolio follows no other model."),
            field="model",
        )
    profile = mandate.risk_profile if mandate else None
    if profile is not None and model.risk_level > profile.level:
        raise DomainError(
            "riskier_than_profile",
            _(
                "The model's risk %(model)s is above the client's %(profile)s. It takes an instruction of the client."
            )
            % {"model": model.risk_level, "profile": profile.level},
            field="model",
        )
    return assign_model(portfolio=portfolio, model=model, by=by)


def model_changed(model_id: uuid.UUID) -> None:
    """Work out the drift of a model's followers again, in a worker, once this change is committed."""
    from models_portfolio.tasks import refresh_followers

    transaction.on_commit(lambda: refresh_followers.delay(str(model_id)))


def _refresh_later(portfolio_ids: Collection[uuid.UUID]) -> None:
    from models_portfolio.tasks import refresh_drift_of

    refresh_drift_of.delay([str(pk) for pk in portfolio_ids])


def models_containing(model_id: uuid.UUID) -> set[uuid.UUID]:
    """Return the model and all models that hold it as a sub-model, at any depth."""
    found, waiting = {model_id}, [model_id]
    while waiting:
        above = Target.objects.filter(
            sub_model__in=waiting, version__state=ModelVersion.State.PUBLISHED
        ).values_list("version__model", flat=True)
        waiting = [pk for pk in set(above) if pk not in found]
        found.update(waiting)
    return found


def refresh_drift(portfolio_ids: Iterable[uuid.UUID] | None = None) -> int:
    """Write the drift of own portfolios into their latest valuations; return how many changed.

    Drift is the one-way turnover to the weights in force today, cash included. It is null where
    there is no model, no version in force, or a value that is not available.
    """
    portfolios = Portfolio.objects.own().current().filter(closed_on__isnull=True)
    if portfolio_ids is not None:
        portfolios = portfolios.filter(pk__in=list(portfolio_ids))
    ids = list(portfolios.order_by("pk").values_list("pk", flat=True))
    day, book, changed = today(), None, 0
    for start in range(0, len(ids), PORTFOLIOS_AT_ONCE):
        batch = ids[start : start + PORTFOLIOS_AT_ONCE]
        values: dict[uuid.UUID, Decimal | None] = dict.fromkeys(batch)
        followed = _followed(batch, day)
        if followed:
            book = book or ModelBook(day)
            values |= _drifts(followed, book)
        changed += _write_drift(values)
    return changed


def _followed(portfolio_ids: Collection[uuid.UUID], day: datetime.date) -> dict[uuid.UUID, uuid.UUID]:
    """Return the models of those portfolios that follow one."""
    assignments = ModelAssignment.objects.current().as_of(day).filter(portfolio__in=portfolio_ids)
    return dict(assignments.values_list("portfolio", "model"))


def _drifts(followed: Mapping[uuid.UUID, uuid.UUID], book: ModelBook) -> dict[uuid.UUID, Decimal | None]:
    """Return the drift of portfolios from the weights of their models, without what their clients exclude."""
    ids = list(followed)
    held = held_weights(ids)
    excluded = exclusions(ids, {key for model in followed.values() for key in book.weights(model) or {}})
    result: dict[uuid.UUID, Decimal | None] = {}
    for portfolio_id, model in followed.items():
        targets, weights = book.weights(model), held.get(portfolio_id)
        result[portfolio_id] = (
            measure_drift(weights, without(targets, excluded[portfolio_id])).portfolio
            if targets is not None and weights
            else None
        )
    return result


def exclusions(portfolio_ids: Collection[uuid.UUID], keys: Collection[Key]) -> dict[uuid.UUID, set[Key]]:
    """Return which of some securities the client of each portfolio excludes."""
    kinds = MandateRestriction.Kind
    wishes = (
        MandateRestriction.objects.current()
        .filter(mandate__portfolio__in=portfolio_ids, kind__in=[kinds.EXCLUDE_SECURITY, kinds.EXCLUDE_SECTOR])
        .annotate(portfolio=F("mandate__portfolio"))
    )
    found: dict[uuid.UUID, set[Key]] = defaultdict(set)
    if wishes:
        securities = Security.objects.filter(pk__in=[key for key in keys if key != CASH])
        known = list(securities.values("pk", "isin", "ticker", "sector"))
        for wish in wishes:
            found[wish.portfolio] |= {
                each["pk"]
                for each in known
                if wish.concerns(isin=each["isin"], ticker=each["ticker"], sector=each["sector"])
            }
    return found


def held_weights(portfolio_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[Key, Decimal] | None]:
    """Return each portfolio's weights by security, and of all cash under ``CASH``.

    None where a value is not available or the whole is worth nothing.
    """
    values: dict[uuid.UUID, dict[Key, Decimal | None]] = {}
    rows = Holding.objects.current().filter(portfolio__in=portfolio_ids)
    for portfolio_id, security_id, value in rows.values_list("portfolio", "security", "market_value"):
        lines = values.setdefault(portfolio_id, {})
        key: Key = security_id or CASH
        before = lines.get(key, ZERO)
        lines[key] = None if value is None or before is None else before + value
    weights: dict[uuid.UUID, dict[Key, Decimal] | None] = {}
    for portfolio_id, lines in values.items():
        known = {key: value for key, value in lines.items() if value is not None}
        total = sum(known.values(), ZERO)
        is_known = len(known) == len(lines) and total > 0
        weights[portfolio_id] = {key: value / total for key, value in known.items()} if is_known else None
    return weights


def _write_drift(values: dict[uuid.UUID, Decimal | None]) -> int:
    with connection.cursor() as cursor:
        # Unchanged rows are left alone: each change travels to a partner.
        cursor.execute(
            """
            UPDATE portfolios_valuation v SET drift = round(new.drift, 6)
            FROM unnest(%s::uuid[], %s::numeric[]) AS new(portfolio_id, drift)
            WHERE v.portfolio_id = new.portfolio_id AND v.is_latest
                AND v.drift IS DISTINCT FROM round(new.drift, 6)
            """,
            [list(values), list(values.values())],
        )
        return int(cursor.rowcount)
