"""Aurora and Harbour under one division of work, with what both do from an instruction to a fill."""

import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.models import User
from clients.models import ClientInstruction, KycStatus, Mandate
from clients.services import accept_mandate, draft_instruction, send_instruction
from portfolios.models import Holding, Portfolio
from portfolios.services.arrived_cash import enter_cash
from portfolios.services.cash_matching import match_cash
from tests import factories
from tests.federation.divisions import Division, divided
from tests.federation.mirror.world import World
from trading.models import Allocation, Block, Order
from trading.services import record_execution

D = Decimal


def today() -> datetime.date:
    return timezone.now().date()


class Shop:
    """Aurora and Harbour under one division of work, with a funded portfolio."""

    def __init__(self, world: World, each: Division | None = None, **who: str) -> None:
        each = each or divided(**who)
        self.world = world
        self.agreement = world.agree(division=each.division, private=each.private)
        client = world.client("harbour")
        with world.within("harbour"):
            client.risk_profiles.update(valid_until=today() + datetime.timedelta(days=300))
            KycStatus.objects.create(
                client=client, state="approved", valid_until=today() + datetime.timedelta(days=300)
            )
        self.mandate = world.mandate(self.agreement, client=client)
        self.world.settle_down()
        self.at("aurora", accept_mandate, mandate=self.mandate, unit=None, by="manager")
        self.world.settle_down()
        with world.within("aurora"):
            self.portfolio = Portfolio.objects.get(mandate_id=self.mandate.pk)
        self.settler = self.agreement.party(each.division["settlement"]).schema_name
        self.security = world.security("aurora", currency="EUR")

    def at(self, schema: str, service: Any, *, by: str = "operations", **kwargs: Any) -> Any:
        """Call a service in an institution's schema as one of its people."""
        with self.world.within(schema):
            return service(by=getattr(factories.cast(), by), **kwargs)

    def announce(self, amount: int) -> ClientInstruction:
        """Send a deposit instruction at the channel."""
        with self.world.within("harbour"):
            by: User = factories.cast().advisor
            instruction = draft_instruction(
                mandate=Mandate.objects.get(pk=self.mandate.pk),
                kind="deposit",
                by=by,
                amount=D(amount),
                currency="EUR",
            )
            self.instruction = send_instruction(instruction=instruction, by=by)
        self.world.settle_down()
        return self.instruction

    def fund(self, amount: int) -> None:
        """Send a deposit instruction at the channel, and match the cash where the ledger is kept."""
        self.announce(amount)
        entry = self.at(
            self.settler, enter_cash, value_date=today(), amount=D(amount), currency="EUR", payer="Client"
        )
        self.at(self.settler, match_cash, entry=entry, instruction=self.instruction)
        self.world.settle_down()

    def fill(self, quantity: int = 10, price: str = "100") -> Allocation:
        """Have the manager buy, in one fill."""
        with self.world.within("aurora"):
            block = Block.objects.create(
                security=self.security, side="buy", currency="EUR", quantity=quantity, sent_at=timezone.now(),
                state="new",
            )  # fmt: skip
            order = Order.objects.create(
                portfolio=self.portfolio, security=self.security, number=f"O-{block.pk.hex[-6:]}", side="buy",
                quantity=quantity, currency="EUR", reason="manual", block=block, state="new",
            )  # fmt: skip
            record_execution(block_id=block.pk, quantity=D(quantity), price=D(price), reference=order.number)
            allocation: Allocation = order.allocations.get()
        self.world.settle_down()
        return allocation

    def holdings(self, schema: str) -> dict[str, Decimal]:
        """Return what a schema says the portfolio holds."""
        with self.world.within(schema):
            rows = Holding.objects.filter(portfolio_id=self.portfolio.pk).select_related("security")
            return {str(row.security or row.currency): row.quantity for row in rows}
