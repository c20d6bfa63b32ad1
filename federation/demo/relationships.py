"""The channels' clients, with all that belongs to a relationship, and their mandates."""

import datetime
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from stdnum import iban
from stdnum.iso7064 import mod_97_10

from accounts.models import User
from clients.models import (
    Client,
    ContactDetail,
    KycStatus,
    Mandate,
    Note,
    Party,
    PayoutAccount,
    RiskProfile,
    Task,
)
from clients.numbers import next_client_number, next_mandate_number
from federation.demo.cast import COMPANIES, FIRST_NAMES, LAST_NAMES
from federation.demo.plans import DemoModel, at_nine
from models_portfolio.models import Offer
from models_portfolio.offers import terms_of

DISCLOSURE_TEXT = "2024-01"


@dataclass(frozen=True)
class DemoMandate:
    """A mandate with what the manager's part of the demonstration is made from."""

    mandate: Mandate
    model_code: str
    opened: datetime.date
    amount: Decimal


@dataclass
class Relationships:
    """Rows to write for one channel, gathered first and written kind by kind."""

    today: datetime.date
    country: str
    advisors: Sequence[User]
    seed: int
    rows: dict[type, list[Any]] = field(default_factory=dict)
    clients: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.names = self._names()

    def _names(self) -> Iterator[tuple[str, str]]:
        pairs = [(first, last) for first in FIRST_NAMES for last in LAST_NAMES]
        self.random.shuffle(pairs)
        return iter(pairs)

    def add(self, row: Any) -> Any:
        """Keep a row to be written."""
        self.rows.setdefault(type(row), []).append(row)
        return row

    def write(self) -> None:
        """Write everything that was gathered, parents first."""
        order = (Client, Party, ContactDetail, PayoutAccount, KycStatus, RiskProfile, Note, Task, Mandate)
        for kind in order:
            kind.objects.bulk_create(self.rows.pop(kind, []))

    def client(self, kind: str = Client.Kind.PERSON, *, since: datetime.date, level: int) -> Client:
        """Add a client with contact details, payout account, KYC, risk profile and parties."""
        self.clients += 1
        advisor = self.advisors[self.clients % len(self.advisors)]
        # A second name is drawn for everybody: who is called what does not depend on the kinds before.
        (first, last), (second, _last) = next(self.names), next(self.names)
        if kind == Client.Kind.COMPANY:
            name = f"{COMPANIES[self.clients % len(COMPANIES)]} {self.clients} AG"
        else:
            name = f"{first} {last}" + (f" & {second} {last}" if kind == Client.Kind.COUPLE else "")
        client: Client = self.add(
            Client(
                number=next_client_number(),
                kind=kind,
                status=Client.Status.CLIENT,
                name=name,
                **(self._company() if kind == Client.Kind.COMPANY else self._person(first, last)),
                country=self.country,
                advisor_name=advisor.full_name,
                advisor=advisor,
                unit=advisor.role_assignments.all()[0].unit,
                next_review_date=self.today + datetime.timedelta(self.random.randint(10, 360)),
                created_at=at_nine(since),
            )
        )
        self._add_contact(client, f"{first}.{last}.{self.seed:02d}-{self.clients}@example.com".lower())
        self._add_account(client, since)
        self._add_kyc(client)
        self._add_profile(client, since, level)
        if kind == Client.Kind.COUPLE:
            self._add_party(client, Party.Role.JOINT_OWNER, f"{second} {last}")
        if kind == Client.Kind.COMPANY:
            self._add_party(client, Party.Role.REPRESENTATIVE, f"{first} {last}")
            self._add_party(client, Party.Role.BENEFICIAL_OWNER, f"{next(self.names)[0]} {last}")
        return client

    def _person(self, first: str, last: str) -> dict[str, Any]:
        draw = self.random.randint
        return {
            "first_name": first,
            "last_name": last,
            "birth_date": datetime.date(draw(1942, 1996), draw(1, 12), draw(1, 28)),
            "nationality": self.country,
            "national_id": f"DEMO-{self.seed:02d}-{self.clients:05d}",
        }

    def _company(self) -> dict[str, Any]:
        return {
            "registration_number": f"DEMO-REG-{self.seed:02d}-{self.clients:05d}",
            "lei": demo_lei(self.seed * 100_000 + self.clients),
        }

    def _add_contact(self, client: Client, mail: str) -> None:
        draw = self.random.randint
        for kind, value in (
            ("email", mail),
            ("phone", f"+00 000 {self.clients:04d} {draw(100, 999)}"),
            ("address", f"Musterweg {draw(1, 99)}, 0000 Beispielstadt"),
        ):
            self.add(ContactDetail(client=client, kind=kind, value=value, is_primary=True))

    def _add_account(self, client: Client, since: datetime.date) -> None:
        self.add(
            PayoutAccount(
                client=client,
                iban=demo_iban(self.seed * 100_000 + self.clients),
                holder=client.name,
                entered_by_name=client.advisor_name,
                verified_by_name="Operations",
                verified_at=at_nine(since),
            )
        )

    def _add_kyc(self, client: Client) -> None:
        checked = self.today - datetime.timedelta(self.random.randint(60, 300))
        self.add(
            KycStatus(
                client=client,
                state=KycStatus.State.APPROVED,
                checked_on=checked,
                valid_until=checked + datetime.timedelta(730),
                checked_by_name=client.advisor_name,
            )
        )

    def _add_profile(self, client: Client, since: datetime.date, level: int) -> None:
        valid_from = max(since, self.today - datetime.timedelta(self.random.randint(100, 600)))
        self.add(
            RiskProfile(
                client=client,
                number=1,
                level=level,
                knowledge=min(7, level + 1),
                capacity=min(7, level + self.random.randint(0, 1)),
                tolerance=level,
                horizon_years=3 + level,
                sustainability=self.random.choice(["none", "some", "none"]),
                valid_from=valid_from,
                valid_until=valid_from + datetime.timedelta(730),
            )
        )

    def _add_party(self, client: Client, role: str, name: str) -> None:
        self.add(Party(client=client, role=role, name=name, country=self.country))

    def mandate(
        self,
        client: Client,
        offer: Offer,
        demo: DemoModel,
        manager_name: str,
        *,
        opened: datetime.date,
        amount: Decimal,
        currency: str = "EUR",
        agreement: uuid.UUID | None,
    ) -> DemoMandate:
        """Add a submitted mandate of a client."""
        profile = next(row for row in self.rows[RiskProfile] if row.client is client)
        submitted = at_nine(opened - datetime.timedelta(5))
        mandate = self.add(
            Mandate(
                number=next_mandate_number(),
                client=client,
                name=demo.name,
                agreement=agreement,
                offer=offer.pk,
                offer_name=offer.name,
                manager_name=manager_name,
                terms=terms_of(offer),
                currency=currency,
                amount=amount,
                risk_profile=profile,
                status=Mandate.Status.SUBMITTED,
                submission=1,
                signed_on=submitted.date(),
                submitted_at=submitted,
                disclosure_text=DISCLOSURE_TEXT if agreement else "",
                disclosure_authorised_on=submitted.date() if agreement else None,
                created_at=submitted,
            )
        )
        return DemoMandate(mandate, demo.code, opened, amount)

    def amount(self) -> Decimal:
        """Return a planned amount, most of them modest; grown, they lie between 40,000 and 4 million."""
        return Decimal(round(44_000 * 55 ** (self.random.random() ** 1.8), -3))

    def opened(self) -> datetime.date:
        """Return an opening day within the last three years."""
        return self.today - datetime.timedelta(self.random.randint(60, 1080))


def demo_iban(number: int) -> str:
    """Return an IBAN with right check digits at a bank that does not exist."""
    body = f"99999{number:012d}"
    return f"CH{iban.calc_check_digits(f'CH00{body}')}{body}"


def demo_lei(number: int) -> str:
    """Return an LEI with right check digits from an issuer that does not exist."""
    body = f"DEMO00{number:012d}"
    return body + mod_97_10.calc_check_digits(body)
