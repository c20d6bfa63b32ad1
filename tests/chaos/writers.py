"""People at work: each writer keeps the records of one agreement on both sides, in a thread of its own."""

import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import F
from django.utils import timezone
from django_tenants.utils import tenant_context

from clients.models import Client, ContactDetail, Mandate, MandateDecision
from federation.models import Agreement, Institution
from portfolios.models import Account, Portfolio, Security, Transaction, security_id
from tests.federation.mirror.world import TODAY

PAUSE = 0.02
MOST_CLIENTS, MOST_ENTRIES = 150, 4_000
ISINS = ["US0378331005", "US5949181045", "DE0007164600", None]


class Writer(threading.Thread):
    """Does one random thing after the other until it is told to stop."""

    def __init__(self, agreement: Agreement, seed: str, stop: threading.Event) -> None:
        super().__init__(daemon=True, name=agreement.name)
        self.agreement = agreement
        self.manager: Institution = agreement.manager
        self.channel: Institution = agreement.channel
        self.done: Counter[str] = Counter()
        self.unexpected: BaseException | None = None
        self._random = random.Random(f"{seed} {agreement.name}")
        self.stop_asked = stop

    def operations(self) -> "dict[str, tuple[Operation, int]]":
        """Return by name what it does, and how often."""
        return OPERATIONS

    def run(self) -> None:
        operations = self.operations()
        names = list(operations)
        weights = [operations[name][1] for name in names]
        try:
            while not self.stop_asked.is_set():
                name = self._random.choices(names, weights)[0]
                # Each operation draws from a source of its own: how far a failed one came changes nothing.
                self._try(name, operations[name][0], random.Random(self._random.random()))
                self.stop_asked.wait(PAUSE * self._random.random())
        except BaseException as error:  # noqa: BLE001 — the run reports it
            self.unexpected = error
        finally:
            connection.close()

    def _try(self, name: str, operation: "Operation", draw: random.Random) -> None:
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '3s'")
                operation(self, draw)
                is_rolled_back = draw.random() < 0.03
                if is_rolled_back:
                    transaction.set_rollback(True)
            self.done["rolled back" if is_rolled_back else name] += 1
        except (DatabaseError, InterfaceError):
            # Refused since a partner's rows name it, in a deadlock, or the server is away.
            self.done["refused"] += 1
            if connection.connection is None or connection.connection.closed:
                connection.close()
                self.stop_asked.wait(0.2)

    def pick(self, draw: random.Random, model: type[Any], **filters: Any) -> Any:
        """Return one of the rows that there are, or None."""
        rows = model.objects.filter(**filters).order_by("pk")
        count = rows.count()
        # Another writer may take it away meanwhile.
        number = draw.randrange(count) if count else 0
        return rows[number : number + 1].first()


Operation = Callable[[Writer, random.Random], None]


def new_key(draw: random.Random) -> uuid.UUID:
    return uuid.UUID(int=draw.getrandbits(128), version=4)


def take_on(writer: Writer, draw: random.Random) -> None:
    """A client with contact details and a mandate, submitted at once or later."""
    with tenant_context(writer.channel):
        if Client.objects.own().count() > MOST_CLIENTS:
            return
        key = new_key(draw)
        client = Client.objects.create(
            pk=key, number=f"C-{key.hex[:10]}", name=draw.choice("ABC"), national_id=f"SECRET {key.hex}"
        )
        ContactDetail.objects.bulk_create(
            ContactDetail(pk=new_key(draw), client=client, kind="email", value=f"{number}@example.test")
            for number in range(draw.randrange(4))
        )
        Mandate.objects.create(
            pk=new_key(draw), number=f"M-{key.hex[:10]}", client=client, agreement=writer.agreement.pk
        )


def submit(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.channel):
        mandate = writer.pick(draw, Mandate, origin=None, agreement=writer.agreement.pk)
        if mandate:
            Mandate.objects.filter(pk=mandate.pk).update(
                status=draw.choice(["submitted"] * 5 + ["withdrawn", "closing"]),
                submission=F("submission") + 1,
                submitted_at=timezone.now(),
                signed_on=TODAY,
                disclosure_authorised_on=TODAY,
            )


def edit(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.channel):
        client = writer.pick(draw, Client, origin=None)
        if client:
            Client.objects.filter(pk=client.pk).update(
                name=f"Client {draw.random()}", national_id=f"SECRET {draw.random()}"
            )
            ContactDetail.objects.own().filter(client=client).update(value=f"{draw.random()}@example.test")


def move_details(writer: Writer, draw: random.Random) -> None:
    """Contact details move to another client, and a mandate to another client."""
    with tenant_context(writer.channel):
        first, second = (writer.pick(draw, Client, origin=None) for _ in range(2))
        mandate = writer.pick(draw, Mandate, origin=None, agreement=writer.agreement.pk)
        if first and second and mandate:
            ContactDetail.objects.own().filter(client=first).update(client=second)
            Mandate.objects.filter(pk=mandate.pk).update(client=second)


def replace_details(writer: Writer, draw: random.Random) -> None:
    """Delete a row and insert it again under its key, with other values."""
    with tenant_context(writer.channel):
        detail = writer.pick(draw, ContactDetail, origin=None)
        if detail:
            ContactDetail.objects.filter(pk=detail.pk)._raw_delete("default")
            detail.value = f"again {draw.random()}"
            detail.save(force_insert=True)


def swap_numbers(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.channel):
        first, second = (writer.pick(draw, Client, origin=None) for _ in range(2))
        if first and second and first.pk != second.pk:
            for client, number in ((first, "between"), (second, first.number), (first, second.number)):
                Client.objects.filter(pk=client.pk).update(number=number)


def let_go(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.channel):
        mandate = writer.pick(draw, Mandate, origin=None, agreement=writer.agreement.pk)
        if mandate:
            Mandate.objects.filter(pk=mandate.pk)._raw_delete("default")


def decide(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.manager):
        mandate = writer.pick(
            draw, Mandate, origin=writer.channel.pk, agreement=writer.agreement.pk, retired_at=None
        )
        if mandate:
            MandateDecision.objects.create(
                pk=new_key(draw),
                mandate=mandate,
                submission=mandate.submission,
                outcome=draw.choice(["accepted", "accepted", "accepted", "rejected"]),
                reason="As it is.",
                decided_at=timezone.now(),
            )


def open_portfolio(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.manager):
        mandate = writer.pick(
            draw,
            Mandate,
            origin=writer.channel.pk,
            agreement=writer.agreement.pk,
            portfolio=None,
            retired_at=None,
        )
        if mandate:
            key = new_key(draw)
            Portfolio.objects.create(
                pk=key,
                number=f"P-{key.hex[:10]}",
                name="New",
                mandate=mandate,
                currency="EUR",
                opened_on=TODAY,
            )


def book(writer: Writer, draw: random.Random, most: int = 40) -> None:
    """Entries of a ledger, few or many."""
    with tenant_context(writer.manager):
        portfolio = writer.pick(draw, Portfolio, origin=None)
        if not portfolio or Transaction.objects.own().count() > MOST_ENTRIES:
            return
        isin = draw.choice(ISINS)
        name = f"{writer.manager.schema_name} {isin}"
        security, _ = Security.objects.get_or_create(
            pk=security_id(isin) if isin else uuid.uuid5(uuid.NAMESPACE_URL, name),
            defaults={"isin": isin, "name": name, "asset_class": "equity", "currency": "EUR"},
        )
        Transaction.objects.bulk_create(
            Transaction(
                pk=new_key(draw),
                portfolio=portfolio,
                type="buy",
                trade_date=TODAY,
                settlement_date=TODAY,
                security=security,
                quantity=number + 1,
                currency=draw.choice(["EUR", "USD"]),
                text=f"Entry {number}",
            )
            for number in range(draw.randrange(1, most))
        )


def book_many(writer: Writer, draw: random.Random) -> None:
    book(writer, draw, most=1_500)


def open_accounts(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.manager):
        portfolio = writer.pick(draw, Portfolio, origin=None)
        if portfolio and Account.objects.own().count() < MOST_ENTRIES:
            Account.objects.bulk_create(
                Account(
                    pk=new_key(draw), portfolio=portfolio, kind="cash", number=str(number), currency="EUR"
                )
                for number in range(draw.randrange(1, 40))
            )


def correct(writer: Writer, draw: random.Random) -> None:
    """Accounts change, move to another portfolio and go; a portfolio is renamed."""
    with tenant_context(writer.manager):
        first, second = (writer.pick(draw, Portfolio, origin=None) for _ in range(2))
        if not first or not second:
            return
        accounts = Account.objects.own().filter(portfolio=first)
        match draw.randrange(4):
            case 0:
                accounts.update(custodian=f"Corrected {draw.random()}")
            case 1:
                accounts.update(portfolio=second)
            case 2:
                accounts._raw_delete("default")
            case _:
                Portfolio.objects.filter(pk=first.pk).update(name=f"Renamed {draw.random()}")


def move_portfolio(writer: Writer, draw: random.Random) -> None:
    """A portfolio moves to another mandate, of whichever agreement, or to none."""
    with tenant_context(writer.manager):
        portfolio = writer.pick(draw, Portfolio, origin=None)
        mandate = writer.pick(draw, Mandate, origin__isnull=False, retired_at=None, portfolio=None)
        if portfolio:
            Portfolio.objects.filter(pk=portfolio.pk).update(mandate=mandate if draw.random() < 0.8 else None)


def linger(writer: Writer, draw: random.Random) -> None:
    """A transaction that took its id early commits late."""
    edit(writer, draw)
    writer.stop_asked.wait(draw.random() * 2)


# name → what is done, and how often
OPERATIONS: dict[str, tuple[Operation, int]] = {
    "take_on": (take_on, 8),
    "submit": (submit, 10),
    "edit": (edit, 14),
    "move_details": (move_details, 2),
    "replace_details": (replace_details, 6),
    "swap_numbers": (swap_numbers, 3),
    "let_go": (let_go, 1),
    "decide": (decide, 4),
    "open_portfolio": (open_portfolio, 5),
    "book": (book, 12),
    "open_accounts": (open_accounts, 8),
    "book_many": (book_many, 1),
    "correct": (correct, 8),
    "move_portfolio": (move_portfolio, 3),
    "linger": (linger, 1),
}
