"""The audit trail: what its entries say, and who reads which."""

import uuid

from accounts.models import AuditEntry, Role, RoleAssignment, User, audit
from clients.models import Client
from portfolios.models import Portfolio, Security
from tests.clients import make as clients
from tests.portfolios import cash
from tests.portfolios import make as portfolios
from trading.models import Order, Proposal, Settlement


def settling(portfolio: Portfolio, number: str = "O-7") -> tuple[Proposal, Order, Settlement]:
    """Return a proposal, an order and the settlement of its fill."""
    today = portfolios.today()
    proposal = Proposal.objects.create(portfolio=portfolio, reason="drift")
    order = portfolio.orders.create(
        number=number,
        security=Security.objects.first() or portfolios.security(),
        side="buy",
        quantity=1,
        currency="EUR",
        reason="drift",
    )
    fill = order.allocations.create(
        portfolio=portfolio, quantity=1, price=10, currency="EUR", gross_amount=10, net_amount=-10,
        trade_date=today, settlement_date=today,
    )  # fmt: skip
    return (
        proposal,
        order,
        Settlement.objects.create(allocation=fill, portfolio=portfolio, expected_date=today),
    )


def test_entries_name_and_link_what_their_reader_may_see(aurora, harbour, in_aurora, browse):
    by, filled = in_aurora.administrator, portfolios.portfolio(in_aurora.unit)
    unknown = uuid.uuid4()
    said = {
        "unit": str(in_aurora.unit.pk),
        "portfolio": str(filled.pk),
        "offer": str(unknown),
        "override": False,
    }
    audit("thing.done", by, by=by, **said)
    client = clients.client(in_aurora.advisor)
    audit("thing.read", client, by=by)
    # Keys and codes are said as forms and pages say them.
    audit("thing.changed", client, by=by, fields=["birth_date", "last_name"], kind="person")
    audit("thing.moved", by, by=by, effective_from="2026-12-01", may_write=True, roles=["portfolio_manager"])
    agreed = clients.agreement(aurora, harbour)
    audit("thing.agreed", agreed, by=by)
    proposal, order, settlement = settling(filled)
    arrived = cash.arrived(1000)
    for record in (proposal, settlement, settlement.allocation, arrived):
        audit("thing.changed", record, by=by)
    page = browse(aurora, in_aurora.compliance).get("/audit/").content.decode()
    shown = [
        f'<td ><a href="/people/{by.pk}/">{by.full_name}</a></td>',
        f'<td ><a href="/clients/{client.pk}/">Ada Example</a></td>',
        f'<td ><a href="/agreements/{agreed.pk}/">{agreed.name}</a></td>',
        f"unit: {in_aurora.unit}, ",
        f'portfolio: <a href="/portfolios/{filled.pk}/">P-1</a>',
        f'offer: <code title="{unknown}">…{str(unknown)[-8:]}</code>',
        "override: no",
        "kind: Person, fields: date of birth / last name<",
        "roles: Portfolio manager, may write: yes, effective from: 1 Dec 2026<",
        f'<td ><a href="/proposals/{proposal.pk}/">P-1 Outside tolerance</a></td>',
        f'<td ><a href="/cash/{arrived.pk}/">EUR\u00a01,000.00</a></td>',
    ]
    # A fill and its settlement stand on the page of their order.
    assert page.count(f'<td ><a href="/orders/{order.pk}/">O-7</a></td>') == 2
    assert [each for each in shown if each not in page] == []
    # Administrators configure, they do not look.
    page = browse(aurora, by).get("/audit/").content.decode()
    assert "P-1" not in page
    assert "O-7" not in page
    assert "1,000.00" not in page
    assert "Ada Example" not in page
    assert f'<a href="/people/{by.pk}/">' in page


def test_compliance_of_a_branch_reads_what_was_done_to_its_clients_and_the_institutions_matters(
    aurora, in_aurora, browse
):
    AuditEntry.objects.all().delete()
    by = in_aurora.administrator
    for unit in (in_aurora.unit, in_aurora.other_unit):
        client = Client.objects.create(name=f"Of {unit}", unit=unit)
        _proposal, order, settlement = settling(
            portfolios.portfolio(unit, f"P-{unit}"[:30]), f"O-{unit}"[:30]
        )
        for record in (client, order, settlement, cash.arrived(int(unit == in_aurora.unit) + 1)):
            audit("thing.done", record, by=by)
    audit("thing.done", by, by=by)
    branch = in_aurora.stranger
    RoleAssignment.objects.create(user=branch, role=Role.COMPLIANCE, unit=in_aurora.unit)

    def read(by: User) -> int:
        return browse(aurora, by).get("/audit/").context["table"].paginator.count

    # Cash that nobody could place yet is everybody's to place; that it was entered is written down too.
    assert read(in_aurora.compliance) == read(by) == 11
    assert read(branch) == 8
    shown = browse(aurora, branch).get("/audit/", {"_export": "csv"}).content.decode()
    assert str(Client.objects.get(unit=in_aurora.other_unit).pk) not in shown
    assert str(Client.objects.get(unit=in_aurora.unit).pk) in shown
