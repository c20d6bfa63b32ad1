"""A right counts where its role reaches: another role that sees more widely does not carry it there."""

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.db.models import Model
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import AuditEntry, Role, RoleAssignment, Unit, User
from accounts.services import create_token
from clients.models import Client, ClientInstruction, Mandate, MandateDecision, PayoutAccount
from federation.models import Institution
from models_portfolio.models import ModelPortfolio
from tests.clients.make import ANSWERS
from tests.factories import Cast
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
    }


@contextmanager
def _undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _acting(role: str, unit: Unit) -> User:
    """Return somebody who acts in one unit and reads everywhere."""
    user = User.objects.create(email=f"{role}-{unit.name}@example.test", full_name="Two Roles", password="!")
    RoleAssignment.objects.create(user=user, role=role, unit=unit)
    RoleAssignment.objects.create(user=user, role=Role.COMPLIANCE)
    return user


Ask = Callable[[str, str, dict[str, Any]], tuple[int, bool]]


@pytest.fixture
def asking(
    in_aurora: Cast, aurora: Institution, browse: Callable[..., Browser], records: dict[str, Model]
) -> Callable[[str, Unit], Ask]:
    """Return what asks as somebody who acts in one unit: the status, and whether anything changed."""
    ids = {name: str(record.pk) for name, record in records.items()}

    def filled(value: Any) -> Any:
        return value.format(**ids) if isinstance(value, str) else value

    def state() -> list[Any]:
        rows = [type(each)._default_manager.filter(pk=each.pk).values().get() for each in records.values()]
        return [AuditEntry.objects.count(), *rows]

    def ask_as(role: str, unit: Unit) -> Ask:
        user = _acting(role, unit)
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
    in_aurora: Cast, asking: Callable[[str, Unit], Ask], role: str
) -> None:
    elsewhere, here = asking(role, in_aurora.other_unit), asking(role, in_aurora.unit)
    wrong = []
    for method, path, sent in ACTIONS[role]:
        if (answer := elsewhere(method, path, sent)) != (404, False):
            wrong.append(f"{answer} to {method} {path} elsewhere")
        if (answer := here(method, path, sent))[0] == 404:
            wrong.append(f"{answer} to {method} {path} in the unit")
    for path, sent in CHOICES[role]:
        if (answer := elsewhere("post", path, sent))[1]:
            wrong.append(f"{answer} to {path} elsewhere")
        if not (answer := here("post", path, sent))[1]:
            wrong.append(f"{answer} to {path} in the unit")

    assert wrong == []
