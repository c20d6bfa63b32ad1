"""Every URL of an institution, asked for by those who may not see what it shows."""

import datetime
import itertools
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db.models import Model
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts.models import Job, Role, RoleAssignment, Unit, User
from clients.models import Client, ClientInstruction, PayoutAccount, Task
from federation.models import Institution
from models_portfolio.models import ModelPortfolio
from portfolios.models import Account, BankEntry, CorporateAction, Handover, Holding, Transaction
from reporting.models import Report, ReportRelease
from tests.factories import Cast, create_token
from tests.trading import make
from trading.models import Affirmation, Allocation, Block, Order, Settlement

Browse = Callable[..., Browser]
DENIED = {302, 401, 403, 404, 405}
SECRET_NAME = "Zacharias Unmistakable"
UNKNOWN = uuid.UUID(int=7)
# What one reads without signing in, and what signs in.
OPEN = ("accounts/", "invitation/", "demo/")
# Which record a path's first id names; a path that is not listed is tried with all of them.
NAMES = {
    "clients": "client", "mandates": "mandate", "inbox": "mandate", "payout-accounts": "payout", "tasks": "task",
    "instructions": "instruction", "withdrawals": "instruction", "portfolios": "portfolio",
    "transactions": "transaction", "cash": "entry", "proposals": "proposal", "orders": "order",
    "allocations": "allocation", "affirmations": "affirmation", "settlements": "settlement", "reports": "report", "releases": "release",
    "jobs": "job", "holdings": "holding", "valuations": "portfolio", "accounts": "account",
    "bank-entries": "entry", "disclosures": "mandate", "corporate-actions": "corporate_action",
    "handovers": "handover", "blocks": "block", "executions": "execution",
}  # fmt: skip
# They are nobody's in particular, or of the institution as a whole.
SHARED = {
    "people", "units", "tokens", "securities", "sources", "imports", "models", "model-versions", "model-views",
    "model-offers", "agreements", "prices", "exchange-rates", "offers", "versions", "views", "streams", "mirrors",
    "sealed", "benchmarks", "benchmark-values", "adoptions",
}  # fmt: skip
# What a browser takes, and a program.
ACCEPT = "text/html, application/json;q=0.9"
# Ends the session that asks, so that everything after it would be denied.
ENDS = ("accounts/logout",)


def _routes(patterns: Any, prefix: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("\\Z")
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        else:
            assert isinstance(pattern, URLPattern)
            converters = {name: type(each).__name__ for name, each in pattern.pattern.converters.items()}
            yield route, converters


def _all_routes() -> list[tuple[str, dict[str, str]]]:
    return list(_routes(get_resolver("config.urls").url_patterns))


def _paths(route: str, converters: dict[str, str], ids: list[uuid.UUID]) -> Iterator[str]:
    """Yield the paths of a route with each of the ids; the further ones of a route are unknown."""
    values = {"IntConverter": ["1"], "SlugConverter": ["deposit"], "StringConverter": ["x"]}
    values |= {"PathConverter": ["x/y"]}
    choices: list[list[str]] = []
    uuids = 0
    for kind in converters.values():
        if kind == "UUIDConverter":
            choices.append([str(each) for each in ids] if not uuids else [str(UNKNOWN)])
            uuids += 1
        else:
            choices.append(values[kind])
    for chosen in itertools.product(*choices):
        path = route
        for value in chosen:
            before, _bracket, rest = path.partition("<")
            path = before + value + rest.partition(">")[2]
        yield f"/{path}"


def _records(cast: Cast) -> dict[str, Model]:
    """Return one record of each kind that is somebody's, all in the main unit."""
    model = make.balanced(cast.manager)
    portfolio = make.portfolio(cast, model)
    assert portfolio.mandate is not None
    mandate = portfolio.mandate
    client = mandate.client
    assert client is not None
    client.unit, client.advisor, client.name = cast.unit, cast.advisor, SECRET_NAME
    client.save()
    mandate.status, mandate.submission, mandate.submitted_at = "submitted", 1, timezone.now()
    mandate.signed_on = mandate.disclosure_authorised_on = timezone.localdate()
    mandate.save()
    order, in_market, *_others = make.approved(portfolio, cast)
    assert order.proposal is not None
    day = datetime.date(2026, 3, 2)
    allocation = Allocation.objects.create(
        order=order, portfolio=portfolio, quantity=1, price=10, currency="EUR", gross_amount=10,
        net_amount=10, trade_date=day, settlement_date=day,
    )  # fmt: skip
    security = in_market.security
    block = Block.objects.create(
        security=security, side="buy", currency="EUR", quantity=1, sent_at=timezone.now()
    )
    Order.objects.filter(pk=in_market.pk).update(block=block)
    report = Report.objects.create(
        portfolio=portfolio, number="R-1", title=SECRET_NAME, period_from=day, period_to=day, state="ready",
        pdf=b"%PDF", made_at=timezone.now(),
    )  # fmt: skip
    return {
        "client": client,
        "mandate": mandate,
        "portfolio": portfolio,
        "proposal": order.proposal,
        "order": order,
        "block": block,
        "execution": block.executions.create(
            quantity=1, price=10, executed_at=timezone.now(), reference=SECRET_NAME
        ),
        "corporate_action": CorporateAction.objects.create(
            portfolio=portfolio, security=security, kind="split", ex_date=day, ratio=2
        ),
        "handover": Handover.objects.create(mandate=mandate, as_of=day, currency="EUR"),
        "allocation": allocation,
        "affirmation": Affirmation.objects.create(
            allocation=allocation, portfolio=portfolio, state="affirmed", at=timezone.now()
        ),
        "settlement": Settlement.objects.create(
            allocation=allocation, portfolio=portfolio, expected_date=day
        ),
        "holding": Holding.objects.filter(portfolio=portfolio)[0],
        "account": Account.objects.create(portfolio=portfolio, kind="cash", number="A-1", currency="EUR"),
        "transaction": Transaction.objects.filter(portfolio=portfolio)[0],
        "report": report,
        "release": ReportRelease.objects.create(report=report, released_at=timezone.now()),
        "instruction": ClientInstruction.objects.create(
            mandate=mandate, kind="deposit", status="sent", sent_at=timezone.now(), amount=10, currency="EUR"
        ),
        "payout": PayoutAccount.objects.create(client=client, iban=_IBAN, holder=SECRET_NAME),
        "task": Task.objects.create(client=client, title="Call", due_date=day, assignee=cast.advisor),
        "entry": BankEntry.objects.create(
            portfolio=portfolio, value_date=day, amount=10, currency="EUR", payer=SECRET_NAME
        ),
        "job": Job.objects.create(kind="test", title=SECRET_NAME, created_by=cast.manager),
    }


_IBAN = "DE89370400440532013000"


def _ids(cast: Cast) -> dict[str, uuid.UUID]:
    return {kind: record.pk for kind, record in _records(cast).items()}


def _with_every_role(unit: Unit, email: str = "elsewhere@example.test") -> User:
    user = User.objects.create(email=email, full_name="Elsewhere", password="!")
    for role in Role.values:
        # An administrator administers the institution, and sees every job of it.
        if role != Role.ADMINISTRATOR:
            RoleAssignment.objects.create(user=user, role=role, unit=unit)
    return user


def _ids_for(route: str, records: dict[str, uuid.UUID]) -> list[uuid.UUID]:
    first = route.removeprefix("api/v1/").partition("/")[0]
    if first in NAMES:
        return [records[NAMES[first]]] if NAMES[first] in records else []
    return [records["client"]] if first in SHARED else list(records.values())


def _answers(
    browser: Browser, records: dict[str, uuid.UUID], below: str = "", **headers: str
) -> Iterator[tuple[str, Any]]:
    """Yield every answer to GET and POST on every route that takes an id, for the records it may name."""
    for route, converters in _all_routes():
        if "UUIDConverter" not in converters.values() or not route.startswith(below):
            continue
        for path in _paths(route, converters, _ids_for(route, records)):
            for method in ("get", "post"):
                yield f"{method} {path}", getattr(browser, method)(path, **headers)


def _leaks(answers: Iterator[tuple[str, Any]]) -> list[str]:
    found = []
    for asked, answer in answers:
        if answer.status_code not in DENIED:
            found.append(f"{answer.status_code} {asked}")
        elif SECRET_NAME.encode() in getattr(answer, "content", b""):
            found.append(f"the name in {asked}")
    return found


@pytest.fixture(autouse=True)
def _without_rate_limits(settings: Any) -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def test_what_lies_in_another_unit_does_not_exist_for_somebody_with_every_role(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    records = _ids(in_aurora)
    browser = browse(aurora, _with_every_role(in_aurora.other_unit))

    assert _leaks(_answers(browser, records, "clients/")) == []
    # The client is seen for another portfolio, and nothing else with it.
    make.another_desks(in_aurora, Client.objects.get(pk=records["client"]), ModelPortfolio.objects.get())
    assert browser.get(f"/clients/{records['client']}/").status_code == 200
    assert _leaks(_answers(browser, {**records, "client": UNKNOWN})) == []


def test_the_same_addresses_answer_somebody_with_every_role_in_the_unit(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    records = _ids(in_aurora)
    browser = browse(aurora, _with_every_role(in_aurora.unit))
    found = {
        kind
        for kind in (
            "client",
            "mandate",
            "portfolio",
            "proposal",
            "order",
            "transaction",
            "report",
            "instruction",
        )
        if browser.get(f"/{kind}s/{records[kind]}/").status_code == 200
    }

    assert len(found) == 8


def test_what_lies_in_another_unit_does_not_exist_for_that_persons_token(
    in_aurora: Cast, aurora: Institution, browse: Browse, settings: Any
) -> None:
    records = _ids(in_aurora)
    user = _with_every_role(in_aurora.other_unit)
    _token, text = create_token(
        user=user,
        name="All",
        may_write=True,
        expires_at=timezone.now() + datetime.timedelta(days=1),
        by=user,
    )
    browser = browse(aurora)
    bearer: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {text}"}
    answers = list(_answers(browser, records, "api/v1/clients/", **bearer))

    assert answers != []
    assert _leaks(iter(answers)) == []
    # What is denied to whoever sees the client for another portfolio is denied to whoever does not see it.
    make.another_desks(in_aurora, Client.objects.get(pk=records["client"]), ModelPortfolio.objects.get())
    assert browser.get(f"/api/v1/clients/{records['client']}/", **bearer).status_code == 200
    assert _leaks(_answers(browser, {**records, "client": UNKNOWN}, "api/", **bearer)) == []


def test_a_person_without_a_role_reaches_no_record(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    records = _ids(in_aurora)

    assert _leaks(_answers(browse(aurora, in_aurora.stranger), records)) == []


def test_an_administrator_reaches_no_client_and_no_portfolio(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    records = _ids(in_aurora)
    # An administrator follows all jobs.
    del records["job"]

    assert _leaks(_answers(browse(aurora, in_aurora.administrator), records)) == []


def test_the_records_of_one_institution_do_not_exist_at_another(
    in_aurora: Cast, harbour: Institution, browse: Browse
) -> None:
    records = _ids(in_aurora)
    with tenant_context(harbour):
        user = _with_every_role(Unit.objects.get(name="Main"))
        for role in Role.values:
            RoleAssignment.objects.create(user=user, role=role, unit=None)
    browser = browse(harbour, user)

    assert _leaks(_answers(browser, records)) == []


def test_the_session_of_one_institution_opens_nothing_at_another(
    in_aurora: Cast, aurora: Institution, harbour: Institution, browse: Browse
) -> None:
    browser = browse(aurora, in_aurora.compliance)
    browser.defaults["HTTP_HOST"] = "harbour.localhost"

    for path in ("/", "/clients/", "/api/v1/clients/", "/search/?q=un", "/people/"):
        answer = browser.get(path)
        assert answer.status_code in {302, 401, 403}, path


def test_nobody_reads_anything_without_signing_in(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    client = _ids(in_aurora)["client"]
    browser = browse(aurora)
    found = []
    for route, converters in _all_routes():
        if route.startswith(OPEN) or "(?P" in route:
            continue
        for path in _paths(route, converters, [client]):
            for method in ("get", "post"):
                cache.clear()
                answer = getattr(browser, method)(path)
                if answer.status_code not in DENIED:
                    found.append(f"{answer.status_code} {method} {path}")
                if answer.status_code == 302 and not answer["Location"].startswith("/accounts/login/"):
                    found.append(f"{method} {path} leads to {answer['Location']}")

    assert found == []


def _is_of_a_model(route: str) -> bool:
    """Say whether it is a page of the admin below its own: whoever has no share in it is denied all of them alike."""
    return route.startswith("admin/") and route.count("/") > 2


def test_no_page_breaks_on_what_stands_in_its_address(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    user = _with_every_role(in_aurora.unit)
    RoleAssignment.objects.create(user=user, role=Role.ADMINISTRATOR)
    browser = browse(aurora, user)
    browser.raise_request_exception = False
    names = ("q", "page", "per_page", "sort", "_export", "state", "kind", "number", "from", "to", "period")
    names += ("currency", "cursor", "ordering", "as_of")
    found = []
    for route, converters in _all_routes():
        if converters or "(?P" in route or route.startswith(ENDS) or _is_of_a_model(route):
            continue
        for value in ("²", "9" * 40, "\x00"):
            cache.clear()
            # As YAML the schema takes longer than all other answers.
            answer = browser.get(f"/{route}", dict.fromkeys(names, value), headers={"accept": ACCEPT})
            if answer.status_code >= 500:
                found.append(f"/{route} with {value[:20]!r}")

    assert found == []
