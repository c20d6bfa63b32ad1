"""How does the book of portfolios hold up at 10,000 portfolios? Queries per page, and the server's time.

Measured through Django's test client, middleware and templates included, without the network. Each
portfolio has a client, a mandate, a desk, a model, daily valuations since before the year began, and some holdings.
"""

import datetime
import time
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django_tenants.utils import tenant_context

from benchmarks.measure import percentile, print_table
from federation.models import Domain, Institution

SMALL, LARGE = 100, 10_000
# So that the year's return, which the book shows at first, has an opening to be looked up on any day.
DAYS = 400
REPEATS = 40

# What a portfolio manager does with the book: open, page, sort by any column, filter, search.
VIEWS = {
    "first page": "",
    "page 150": "page=150",
    "by drift": "sort=-drift",
    "by cash": "sort=-cash_weight",
    "by client": "sort=client_name",
    "by return": "sort=-period_return",
    "drifted": "attention=drift",
    "any reason": "attention=any",
    "search": "q=client+42",
    "one currency": "currency=CHF",
}

_VALUATIONS = """
INSERT INTO portfolios_valuation (id, created_at, portfolio_id, date, currency, market_value, cash_value, inflow, outflow,
    fees, return_index, gross_return_index, drift, problem, has_simulated_prices, is_latest)
SELECT gen_random_uuid(), now(), p.id, current_date - d, p.currency, 10000 + (p.n * 7919) %% 3000000, (p.n * 31) %% 90000,
    0, 0, 0, 1 + (p.n + d) %% 97 / 1000.0, 1 + (p.n + d) %% 97 / 900.0, (p.n * 13) %% 100 / 1000.0,
    CASE WHEN p.n %% 50 = 0 THEN 'Stale price: Something' ELSE '' END, false, d = 0
FROM (
    SELECT id, currency, substr(number, 3)::int AS n FROM portfolios_portfolio
    WHERE NOT EXISTS (SELECT FROM portfolios_valuation v WHERE v.portfolio_id = portfolios_portfolio.id)
) p CROSS JOIN generate_series(0, %s - 1) AS d
"""


def run() -> dict[str, float | int | list[int]]:
    """Print the queries and milliseconds of each view; return the worst of both."""
    institution = _institution()
    # Names of static files are looked up in a manifest that only a running platform collects.
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(STORAGES={**settings.STORAGES, "staticfiles": plain}), tenant_context(institution):
        user = _people_and_reference()
        browser = Client(HTTP_HOST="bench.localhost")
        browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        _fill(1, SMALL)
        small = {name: _queries(browser, query) for name, query in VIEWS.items()}
        _fill(SMALL + 1, LARGE)
        large = {name: _queries(browser, query) for name, query in VIEWS.items()}
        times = {name: _milliseconds(browser, query) for name, query in VIEWS.items()}
    rows = []
    for name, taken in times.items():
        rows.append([name, small[name], large[name], percentile(taken, 50), percentile(taken, 95)])
    print_table(["view", f"queries at {SMALL}", f"at {LARGE:,}", "p50 ms", "p95 ms"], rows)
    every = [each for taken in times.values() for each in taken]
    return {
        "book_queries": max(large.values()),
        "book_queries_at_100": max(small.values()),
        "book_queries_at_10000": max(large.values()),
        "book_p50_ms": round(percentile(every, 50), 1),
        "book_p95_ms": round(percentile(every, 95), 1),
        "book_worst_view_p95_ms": round(max(percentile(taken, 95) for taken in times.values()), 1),
    }


def _institution() -> Institution:
    institution = Institution(schema_name="bench", name="Bench", short_name="Bench")
    institution.save(verbosity=0)
    Domain.objects.create(domain="bench.localhost", tenant=institution, is_primary=True)
    return institution


def _people_and_reference() -> Any:
    from accounts.models import Role, RoleAssignment, Unit, User
    from models_portfolio.models import ModelPortfolio
    from portfolios.models import ExchangeRate, PriceSource, Security, security_id

    unit = Unit.objects.create(name="Desk")
    user = User.objects.create_user("manager@bench.test", full_name="Manager")
    RoleAssignment.objects.create(user=user, role=Role.PORTFOLIO_MANAGER, unit=unit)
    ModelPortfolio.objects.create(code="BAL", name="Balanced", currency="EUR", risk_level=4, unit=unit)
    for n in range(5):
        isin = f"XX{n:010d}"
        Security.objects.create(
            id=security_id(isin), isin=isin, name=f"Security {n}", asset_class="equity", currency="EUR"
        )
    source = PriceSource.objects.create(code="ECB", name="European Central Bank")
    today = datetime.datetime.now(tz=datetime.UTC).date()
    for currency, rate in (("USD", "1.1"), ("CHF", "0.95")):
        ExchangeRate.objects.create(source=source, date=today, currency=currency, rate=Decimal(rate))
    return user


def _fill(first: int, last: int) -> None:
    """Add portfolios by number, each with all that its row in the book reads."""
    from accounts.models import Unit
    from clients.models import Client as Customer
    from clients.models import Mandate
    from models_portfolio.models import ModelAssignment, ModelPortfolio
    from portfolios.models import Holding, Portfolio, Security

    unit, model, securities = Unit.objects.get(), ModelPortfolio.objects.get(), list(Security.objects.all())
    today = datetime.datetime.now(tz=datetime.UTC).date()
    opened = today - datetime.timedelta(days=DAYS)
    numbers = range(first, last + 1)
    with connection.cursor() as cursor:
        # Capture for partners is not what is measured here.
        cursor.execute("SET session_replication_role = replica")
    customers = [Customer(number=f"C-{n}", name=f"Client {n}", unit=unit) for n in numbers]
    mandates = [
        Mandate(number=f"M-{n}", client=customer) for n, customer in zip(numbers, customers, strict=True)
    ]
    portfolios = [
        Portfolio(
            number=f"P-{n}",
            name=f"Portfolio {n}",
            mandate=mandate,
            currency=("EUR", "CHF", "USD")[n % 3],
            opened_on=opened,
            manager_name=f"Manager {n % 7}",
            unit=unit,
        )
        for n, mandate in zip(numbers, mandates, strict=True)
    ]
    assignments = [ModelAssignment(portfolio=each, model=model, valid_from=opened) for each in portfolios]
    holdings = [
        Holding(
            portfolio=each,
            security=security,
            currency="EUR",
            quantity=10,
            settled_quantity=10,
            market_value=1000,
            as_of=today,
        )
        for each in portfolios
        for security in securities
    ]
    kinds: tuple[list[Any], ...] = (customers, mandates, portfolios, assignments, holdings)
    for rows in kinds:
        type(rows[0])._default_manager.bulk_create(rows, batch_size=2000)
    with connection.cursor() as cursor:
        cursor.execute(_VALUATIONS, [DAYS])
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")


def _queries(browser: Client, query: str) -> int:
    _get(browser, query)
    with CaptureQueriesContext(connection) as captured:
        _get(browser, query)
    return len(captured)


def _milliseconds(browser: Client, query: str) -> list[float]:
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        _get(browser, query)
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def _get(browser: Client, query: str) -> None:
    response = browser.get(f"/book/?{query}")
    assert response.status_code == 200, response.status_code
