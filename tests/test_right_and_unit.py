"""A right counts where its role reaches: another role that sees more widely does not carry it there."""

import datetime
import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Model
from django.test import Client as Browser
from django.utils import timezone
from guardian.shortcuts import assign_perm
from psycopg import sql

from accounts.models import AuditEntry, Role, RoleAssignment, Unit, User
from accounts.rights import can
from clients.models import Client, ClientInstruction, Mandate, MandateDecision, PayoutAccount
from federation.models import Institution
from models_portfolio.models import ModelPortfolio
from portfolios.models import Handover, Portfolio
from tests.clients.make import ANSWERS
from tests.factories import Cast, create_token
from tests.portfolios import make as portfolios
from tests.test_every_url_denies import _records
from tests.trading import make

DAY = "2026-03-02"
NOTE = {"note": "n", "text": "n", "reason": "n", "title": "n", "due_date": DAY}
# What a role does to one record: the method, the path, what is sent.
ACTIONS: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
    Role.PORTFOLIO_MANAGER: (
        ("post", "proposals/{waiting}/approve/", {"revision": "1", "send": "1"}),
        ("post", "proposals/{waiting}/reject/", {"revision": "1", **NOTE}),
        ("post", "proposals/{waiting}/edit/", {"revision": "1"}),
        ("post", "proposals/{waiting}/submit/", {"revision": "1"}),
        ("post", "proposals/{waiting}/discard/", {"revision": "1"}),
        ("post", "orders/{order}/cancel/", NOTE),
        ("get", "portfolios/{portfolio}/model/", {}),
        ("post", "portfolios/{portfolio}/model/", {"model": "{model}"}),
        ("get", "portfolios/{portfolio}/report/", {}),
        ("post", "transactions/{transaction}/reverse/", NOTE),
        ("post", "mandates/{active}/close/", {}),
        ("get", "inbox/{mandate}/", {}),
        ("post", "instructions/{instruction}/answer/", {"outcome": "accepted"}),
        ("post", "reports/{report}/retry/", {}),
    ),
    Role.ADVISOR: (
        ("get", "clients/{client}/edit/", {}),
        ("post", "clients/{client}/edit/", {"kind": "person"}),
        ("get", "clients/{client}/identity/", {}),
        ("post", "clients/{client}/identity/", {"block": "1"}),
        ("get", "clients/{client}/risk-profile/", {}),
        ("post", "clients/{client}/risk-profile/", ANSWERS),
        ("get", "clients/{client}/review/", {}),
        ("post", "clients/{client}/review/", {"next_review_date": DAY}),
        ("get", "clients/{client}/payout-accounts/new/", {}),
        ("post", "clients/{client}/payout-accounts/new/", {"iban": "FR1420041010050500013M02606", "holder": "A"}),
        ("post", "payout-accounts/{payout}/verify/", {}),
        ("post", "clients/{client}/notes/", NOTE),
        ("post", "clients/{client}/tasks/", NOTE),
        ("post", "tasks/{task}/done/", {}),
        ("post", "clients/{client}/mandates/", {}),
        ("get", "mandates/{draft}/resume/", {}),
        ("get", "mandates/{draft}/who/", {}),
        ("get", "mandates/{draft}/profile/", {}),
        ("get", "mandates/{draft}/plan/", {}),
        ("get", "mandates/{draft}/review/", {}),
        ("post", "mandates/{mandate}/who/", {}),
        ("post", "mandates/{mandate}/answer/", {"answer": "n"}),
        ("post", "mandates/{mandate}/withdraw/", NOTE),
        ("post", "mandates/{mandate}/restrictions/", {"kind": "sector", "sector": "Energy"}),
        ("get", "mandates/{active}/instructions/deposit/", {}),
        ("post", "mandates/{active}/instructions/deposit/", {"amount": "10", "currency": "EUR"}),
        ("get", "mandates/{active}/change-of-plan/", {}),
        ("get", "mandates/{active}/handover/start/", {}),
        ("post", "mandates/{active}/handover/start/", {}),
        ("post", "instructions/{drafted}/send/", {}),
        ("post", "instructions/{instruction}/withdraw/", {}),
        ("post", "reports/{report}/release/", {"note": "n"}),
        ("post", "api/v1/clients/{client}/kyc/", {"checked_on": DAY, "is_politically_exposed": False,
         "evidence_kind": "passport", "evidence_reference": "P"}),
        ("post", "api/v1/clients/{client}/risk-profiles/", {"answers": ANSWERS}),
        ("post", "api/v1/mandates/{draft}/submit/", {"signed_on": DAY}),
        ("post", "api/v1/mandates/{mandate}/withdraw/", NOTE),
        ("post", "api/v1/instructions/{drafted}/send/", {}),
        ("post", "api/v1/instructions/{instruction}/withdraw/", {}),
        ("post", "api/v1/reports/{report}/release/", {"note": "n"}),
    ),
    Role.OPERATIONS: (
        ("get", "clients/{client}/identity/", {}),
        ("post", "clients/{client}/identity/", {"block": "1"}),
        ("post", "payout-accounts/{payout}/verify/", {}),
        ("post", "cash/{entry}/match/", {"number": "P-1"}),
        ("post", "cash/{entry}/send-back/", NOTE),
        ("post", "withdrawals/{withdrawal}/pay/", {}),
        ("post", "instructions/{instruction}/answer/", {"outcome": "accepted"}),
        ("post", "instructions/{instruction}/answer/", {"outcome": "rejected", **NOTE}),
        ("post", "transactions/{transaction}/reverse/", NOTE),
        ("post", "settlements/{settlement}/", {"action": "settle"}),
        ("post", "portfolios/{portfolio}/rest/", {}),
        ("post", "reports/{report}/retry/", {}),
    ),
}  # fmt: skip
# What names its records in what is sent: it leaves out those that are not there, so nothing happens.
CHOICES: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    Role.PORTFOLIO_MANAGER: (
        ("proposals/decide/", {"action": "approve", "choose": "{waiting}.1"}),
        ("proposals/decide/", {"action": "discard", "choose": "{waiting}.1"}),
        ("proposals/propose/", {"portfolio": "{unproposed}", "mode": "to_target", "reason": "drift"}),
        ("orders/send/", {"choose": "{order}", "fill_parts": "1"}),
        ("reports/order/", {"scope": "these", "numbers": "P-1", "period": "custom", "period_from": DAY, "period_to": "2026-03-03"}),
        ("api/v1/reports/", {"portfolio": "{portfolio}", "period_from": DAY, "period_to": "2026-03-03"}),
    ),
    Role.ADVISOR: (
        ("api/v1/instructions/", {"mandate": "{active}", "kind": "deposit", "amount": "10", "currency": "EUR"}),
    ),
    Role.OPERATIONS: (
        ("cash/{unplaced}/match/", {"number": "P-1"}),
        ("cash/{unplaced}/match/", {"instruction": "{instruction}"}),
    ),
}  # fmt: skip


@pytest.fixture
def records(in_aurora: Cast) -> dict[str, Model]:
    """Return records of all kinds in the main unit, in states in which something can be done to them."""
    found = _records(in_aurora)
    model = ModelPortfolio.objects.get()
    client, today = found["client"], timezone.localdate()
    second = make.portfolio(in_aurora, model, "P-2")
    assert isinstance(client, Client)
    assert second.mandate is not None
    Mandate.objects.filter(pk=second.mandate.pk).update(
        client=client, status="submitted", submission=1, submitted_at=timezone.now(), signed_on=today,
        disclosure_authorised_on=today,
    )  # fmt: skip
    MandateDecision.objects.create(
        mandate=second.mandate, submission=1, outcome="active", decided_at=timezone.now()
    )
    verified = PayoutAccount.objects.create(
        client=client, iban="FR1420041010050500013M02606", holder="A", verified_by=in_aurora.operations,
        entered_by=in_aurora.advisor, verified_at=timezone.now(),
    )  # fmt: skip
    asked = {"mandate": second.mandate, "amount": 10, "currency": "EUR"}
    sent = {**asked, "status": "sent", "sent_at": timezone.now()}
    ClientInstruction.objects.filter(pk=found["instruction"].pk).update(mandate=second.mandate)
    unplaced = type(found["entry"])._default_manager.create(
        value_date=datetime.date(2026, 3, 2), amount=10, currency="EUR", payer="A"
    )
    return {
        **found,
        "model": model,
        "active": second.mandate,
        "draft": Mandate.objects.create(number="M-3", client=client, status="draft"),
        "waiting": make.submitted(second, in_aurora.second_manager),
        "unproposed": make.portfolio(in_aurora, model, "P-3"),
        "drafted": ClientInstruction.objects.create(kind="deposit", status="draft", **asked),
        "withdrawal": ClientInstruction.objects.create(kind="withdrawal", payout_account=verified, **sent),
        "unplaced": unplaced,
        "another": make.another_desks(in_aurora, client, model),
    }


@contextmanager
def _undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


# A reason to reach something: a role and its unit, or one record that was granted.
Reason = tuple[str, Unit | None] | Model


def _person(*reasons: Reason) -> User:
    user = User.objects.create(email=f"{uuid.uuid4()}@example.test", full_name="Two Roles", password="!")
    for reason in reasons:
        if isinstance(reason, Model):
            assign_perm(f"view_{reason._meta.model_name}", user, reason)
        else:
            RoleAssignment.objects.create(user=user, role=reason[0], unit=reason[1])
    return user


def _all_else(cast: Cast) -> list[Reason]:
    """Return every role in the other unit, where the client has another portfolio, and grants of what is others'."""
    other = Client.objects.create(name="Other", number="C-0")
    granted = portfolios.portfolio(None, "P-0")
    return [*((role, cast.other_unit) for role in Role.values), other, granted]


Ask = Callable[[str, str, dict[str, Any]], tuple[int, bool]]


@pytest.fixture
def asking(
    in_aurora: Cast, aurora: Institution, browse: Callable[..., Browser], records: dict[str, Model]
) -> Callable[..., Ask]:
    """Return what asks as somebody with these reasons: the status, and whether anything changed."""
    ids = {name: str(record.pk) for name, record in records.items()}

    def filled(value: Any) -> Any:
        return value.format(**ids) if isinstance(value, str) else value

    # All of them in one query: it is asked after each request. As text they would depend on the time zone.
    audited = sql.SQL("(SELECT count(*) FROM {})").format(sql.Identifier(AuditEntry._meta.db_table))
    rows = [
        sql.SQL("(SELECT hash_record_extended(kept, 0) FROM {} kept WHERE id = {})").format(
            sql.Identifier(each._meta.db_table), sql.Literal(each.pk)
        )
        for each in records.values()
    ]

    def state() -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT ") + sql.SQL(", ").join([audited, *rows]))
            found = list(cursor.fetchone())
        assert None not in found
        return found

    def ask_as(*reasons: Reason) -> Ask:
        user = _person(*reasons)
        soon = timezone.now() + datetime.timedelta(days=1)
        _token, text = create_token(user=user, name="T", may_write=True, expires_at=soon, by=user)
        browser, caller = browse(aurora, user), browse(aurora)
        headers, begun = {"authorization": f"Bearer {text}"}, list[Any]()

        def ask(method: str, path: str, sent: dict[str, Any]) -> tuple[int, bool]:
            cache.clear()
            data, url = {name: filled(value) for name, value in sent.items()}, f"/{filled(path)}"
            # Each is undone, so that all begin alike.
            if not begun:
                begun.extend(state())
            with _undone():
                if path.startswith("api/"):
                    answer = caller.post(url, data, content_type="application/json", headers=headers)
                else:
                    answer = getattr(browser, method)(url, data)
                return answer.status_code, state() != begun

        return ask

    return ask_as


@pytest.mark.parametrize("role", ACTIONS)
def test_a_right_in_one_unit_does_nothing_where_only_another_role_reads(
    in_aurora: Cast, asking: Callable[..., Ask], role: str
) -> None:
    reads: Reason = (Role.COMPLIANCE, None)
    here = asking((role, in_aurora.unit), reads)
    elsewhere = {
        "reading everywhere": asking((role, in_aurora.other_unit), reads),
        "for all other reasons": asking(*_all_else(in_aurora)),
    }
    wrong = []
    for method, path, sent in ACTIONS[role]:
        for why, ask in elsewhere.items():
            if (answer := ask(method, path, sent)) != (404, False):
                wrong.append(f"{answer} to {method} {path} {why}")
        if (answer := here(method, path, sent))[0] == 404:
            wrong.append(f"{answer} to {method} {path} in the unit")
    for path, sent in CHOICES[role]:
        for why, ask in elsewhere.items():
            if (answer := ask("post", path, sent))[1]:
                wrong.append(f"{answer} to {path} {why}")
        if not (answer := here("post", path, sent))[1]:
            wrong.append(f"{answer} to {path} in the unit")

    assert wrong == []


# What lists of all kinds show of the client to the other desk: the address, and what stands there.
LISTS = (
    ("clients/{client}/", "M-P-9"),
    ("clients/{client}/disclosures/", ""),
    ("clients/?_export=csv", "Zacharias"),
    ("mandates/", "M-P-9"),
    ("mandates/?_export=csv", "M-P-9"),
    ("mandates/?q=Zacharias", "M-P-9"),
    ("instructions/", ""),
    ("instructions/?_export=csv", ""),
    ("inbox/", ""),
    ("book/", "P-9"),
    ("book/?_export=csv", "P-9"),
    ("proposals/", ""),
    ("orders/?_export=csv", ""),
    ("reports/", ""),
    ("cash/", ""),
    ("desk/", ""),
    ("my-day/?of=unit", ""),
    ("models/{model}/", "P-9"),
    ("search/?q=Zacharias", "M-P-9"),
    ("search/?q=P-1", ""),
    ("api/v1/mandates/?client={client}", "M-P-9"),
    ("api/v1/instructions/?client={client}", ""),
    ("api/v1/portfolios/?client={client}", "P-9"),
    ("api/v1/transactions/?client={client}", "{another}"),
    ("api/v1/orders/?client={client}", ""),
    ("api/v1/reports/", ""),
)


def test_whoever_sees_a_client_for_one_portfolio_is_shown_no_other(
    in_aurora: Cast, aurora: Institution, browse: Callable[..., Browser], records: dict[str, Model]
) -> None:
    client = records["client"]
    Client.objects.filter(pk=client.pk).update(number="C-1")
    theirs = ("active", "draft", "portfolio", "mandate", "instruction", "order", "report", "transaction")
    ids = {name: str(record.pk) for name, record in records.items()}
    secret = {*(ids[name] for name in theirs), "M-P-1", "M-P-2", ">P-1<", ",P-1,", "R-1", '"number":"P-1"'}
    browser = browse(aurora, _person(*_all_else(in_aurora)))
    wrong = []
    for path, stands in LISTS:
        answer = browser.get(f"/{path.format(**ids)}")
        text = answer.content.decode()
        wrong += [f"{path}: {each}" for each in secret if each in text]
        if answer.status_code != 200 or stands.format(**ids) not in text:
            wrong.append(f"{path}: {answer.status_code} without {stands}")

    assert wrong == []
    page = browser.get(f"/clients/{client.pk}/")
    rows = browser.get("/clients/?q=Zacharias").context["table"].paginated_rows
    assert page.context["owned"].total == next(iter(rows)).record.total == 100_000
    assert "Total of what you may see" in page.content.decode()
    # Whose client it is sees them all.
    page = browse(aurora, in_aurora.advisor).get(f"/clients/{client.pk}/")
    rows = browse(aurora, in_aurora.advisor).get("/clients/?q=Zacharias").context["table"].paginated_rows
    assert page.context["owned"].total == next(iter(rows)).record.total > 250_000
    assert "Total over all managers" in page.content.decode()
    # Operations of a desk sees portfolios there, which shows a portfolio manager of another desk no mandate.
    Client.objects.filter(pk=client.pk).update(unit=None)
    manages = browse(
        aurora, _person((Role.PORTFOLIO_MANAGER, in_aurora.other_unit), (Role.OPERATIONS, in_aurora.unit))
    )
    page = manages.get(f"/inbox/{Mandate.objects.get(number='M-P-9').pk}/")
    assert (page.status_code, "M-P-1" in page.content.decode()) == (200, False)


def test_what_is_handed_over_for_a_mandate_that_no_desk_has_yet_is_no_other_units(
    in_aurora: Cast, aurora: Institution, browse: Callable[..., Browser], records: dict[str, Model]
) -> None:
    day = timezone.localdate()
    waiting = Mandate.objects.create(
        number="M-4", client=records["client"], status="submitted", submission=1, submitted_at=timezone.now(),
        signed_on=day, disclosure_authorised_on=day,
    )  # fmt: skip
    handover = Handover.objects.create(mandate=waiting, as_of=day, currency="EUR")
    seen = {}
    for role in (Role.PORTFOLIO_MANAGER, Role.OPERATIONS, Role.COMPLIANCE):
        browser = browse(aurora, _person((role, in_aurora.other_unit)))
        page = browser.get(f"/mandates/{waiting.pk}/handover/").status_code
        seen[role] = (page, str(handover.pk) in browser.get("/api/v1/handovers/").content.decode())

    # A portfolio manager may take it on; the client is of a unit of the others.
    nothing = (404, False)
    assert seen == {"portfolio_manager": (200, True), "operations": nothing, "compliance": nothing}
    assert browse(aurora, in_aurora.operations).get(f"/mandates/{waiting.pk}/handover/").status_code == 200


def _reached(user: User) -> dict[tuple[str, str], set[uuid.UUID]]:
    """Return what a person sees of each kind, and what a right that two roles carry reaches."""
    reached = {}
    for model in (Client, Mandate, Portfolio):
        rows = model._default_manager
        reached[model.__name__, ""] = set(rows.visible_to(user).values_list("pk", flat=True))
        acts = rows.with_right(user, "report.make")
        reached[model.__name__, "report.make"] = set(acts.values_list("pk", flat=True))
    return reached


def test_two_reasons_together_reach_what_each_reaches_by_itself(
    in_aurora: Cast, records: dict[str, Model]
) -> None:
    grants = [records["client"], records["another"], *_all_else(in_aurora)[-2:]]
    reasons: list[Reason] = [
        *((role, unit) for role in Role.values for unit in (in_aurora.unit, in_aurora.other_unit)),
        *grants,
    ]
    alone = [_reached(_person(reason)) for reason in reasons]
    added = []
    for (one, first), (two, second) in itertools.combinations(zip(reasons, alone, strict=True), 2):
        person = _person(one, two)
        for (kind, right), found in _reached(person).items():
            expected = first[kind, right] | second[kind, right]
            # A grant says over what, a role what one may do.
            if right and can(person, right):
                expected |= first[kind, ""] if isinstance(one, Model) else set()
                expected |= second[kind, ""] if isinstance(two, Model) else set()
            if found != expected:
                added.append(f"{kind} {right} for {one} and {two}")

    assert added == []
