"""Changes to clients themselves: who they are and how they are reached."""

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import Role, Unit, User, audit
from clients.models import Client, ContactDetail, KycEvidence, KycStatus, Note, Party, PayoutAccount, Task
from clients.numbers import next_client_number
from clients.services.guards import refuse_received

KYC_VALID_FOR = datetime.timedelta(days=2 * 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyData:
    """A joint owner, representative or beneficial owner, as entered."""

    role: str
    name: str
    birth_date: datetime.date | None = None
    country: str = ""
    national_id: str = ""


def _unit_of(user: User) -> Unit | None:
    """Return the first unit that ``user`` advises in; None for the whole institution."""
    assignment = (
        user.role_assignments.filter(role=Role.ADVISOR).select_related("unit").order_by("unit__path").first()
    )
    return assignment.unit if assignment else None


def name_of(kind: str, fields: Mapping[str, Any], parties: Sequence[PartyData]) -> str:
    """Return the name that a client goes by: a company's own, a person's, or a couple's two names."""
    if kind == Client.Kind.COMPANY:
        return str(fields.get("name", ""))
    own = f"{fields.get('first_name', '')} {fields.get('last_name', '')}".strip() or str(
        fields.get("name", "")
    )
    owners = [own, *(party.name for party in parties if party.role == Party.Role.JOINT_OWNER)]
    return " & ".join(owners) if kind == Client.Kind.COUPLE else own


@transaction.atomic
def create_client(
    *,
    kind: str,
    fields: Mapping[str, Any],
    by: User,
    parties: Sequence[PartyData] = (),
    contacts: Mapping[str, str] | None = None,
) -> Client:
    """Enter a client of ``by`` with a number of its own; ``contacts`` maps a kind to its value.

    Raises ValidationError where a field or constraint is violated.
    """
    client = Client(
        number=next_client_number(),
        advisor=by,
        advisor_name=by.full_name,
        unit=_unit_of(by),
    )
    _write(client, kind, fields, parties, contacts or {})
    KycStatus.objects.create(client=client)
    audit("client.created", client, by=by, kind=kind)
    return client


@transaction.atomic
def change_client(
    *,
    client: Client,
    kind: str,
    fields: Mapping[str, Any],
    by: User,
    parties: Sequence[PartyData] | None = None,
    contacts: Mapping[str, str] | None = None,
) -> Client:
    """Change who a client is; what is given replaces what was there.

    Raises DomainError for a client that a partner owns, ValidationError for a violated constraint.
    """
    client = Client.objects.select_for_update(of=("self",)).get(pk=client.pk)
    refuse_received(client)
    standing = [_party_data(party) for party in client.parties.all()]
    kept = standing if parties is None else parties
    changed = {name for name, value in fields.items() if getattr(client, name) != value}
    if client.kind != kind:
        changed.add("kind")
    if Counter(standing) != Counter(kept):
        changed.add("parties")
    reached = {each: client.first_contact(each) for each in contacts or {}}
    if any(value != (str(reached[each] or "")) for each, value in (contacts or {}).items()):
        changed.add("contacts")
    _write(client, kind, fields, kept, contacts or {})
    audit("client.changed", client, by=by, fields=sorted(changed))
    return client


def _party_data(party: Party) -> PartyData:
    return PartyData(
        role=party.role,
        name=party.name,
        birth_date=party.birth_date,
        country=party.country,
        national_id=party.national_id,
    )


def _write(
    client: Client,
    kind: str,
    fields: Mapping[str, Any],
    parties: Sequence[PartyData],
    contacts: Mapping[str, str],
) -> None:
    client.kind = kind
    for name, value in fields.items():
        setattr(client, name, value)
    client.name = name_of(kind, fields, parties) or client.name
    client.full_clean()
    client.save()
    _replace_parties(client, parties)
    for contact_kind, value in contacts.items():
        _replace_contact(client, contact_kind, value)


def _replace_parties(client: Client, parties: Sequence[PartyData]) -> None:
    # Rows that stay the same keep their id, so that the partner sees only what changed.
    left = list(parties)
    for party in client.parties.all():
        data = _party_data(party)
        if data in left:
            left.remove(data)
        else:
            party.delete()
    for data in left:
        party = Party(
            client=client,
            role=data.role,
            name=data.name,
            birth_date=data.birth_date,
            country=data.country,
            national_id=data.national_id,
        )
        party.full_clean()
        party.save()


def _replace_contact(client: Client, kind: str, value: str) -> None:
    if kind == ContactDetail.Kind.PHONE and value and not any(each.isdigit() for each in value):
        raise DomainError(
            "phone_without_digits",
            _("A phone number has digits. Write it with its country, such as +49 30 123456."),
            field="phone",
        )
    current = client.first_contact(kind)
    if current is None:
        if value:
            ContactDetail.objects.create(client=client, kind=kind, value=value, is_primary=True)
    elif not value:
        current.delete()
    elif current.value != value:
        current.value = value
        current.save(update_fields=["value"])


@transaction.atomic
def record_kyc(
    *,
    client: Client,
    by: User,
    checked_on: datetime.date,
    is_politically_exposed: bool,
    evidence_kind: str,
    evidence_reference: str,
    may_clear_exposed: bool = False,
    valid_until: datetime.date | None = None,
) -> KycStatus:
    """Record that the client's identity was checked, and what the check rested on.

    A politically exposed client stays pending until somebody who ``may_clear_exposed`` (operations)
    approves; only they say that a client no longer is exposed. The evidence is private. Without
    ``valid_until`` the check is valid for two years. Raises DomainError for a blocked client, whom
    operations alone frees.
    """
    refuse_received(client)
    KycStatus.objects.get_or_create(client=client)
    kyc = KycStatus.objects.select_for_update(of=("self",)).get(client=client)
    if kyc.state == KycStatus.State.BLOCKED and not may_clear_exposed:
        raise DomainError(
            "kyc_blocked", _("This client is blocked. Ask operations to check the identity again.")
        )
    kyc.checked_on = checked_on
    kyc.valid_until = valid_until or checked_on + KYC_VALID_FOR
    # Who answers "not exposed" now must not clear by that what somebody else found before.
    kyc.is_politically_exposed |= is_politically_exposed
    if may_clear_exposed:
        kyc.is_politically_exposed = is_politically_exposed
    needs_second_look = kyc.is_politically_exposed and not may_clear_exposed
    kyc.state = KycStatus.State.PENDING if needs_second_look else KycStatus.State.APPROVED
    kyc.checked_by_name = by.full_name
    kyc.full_clean()
    kyc.save()
    if evidence_reference:
        KycEvidence.objects.create(
            client=client, kind=evidence_kind, reference=evidence_reference, seen_on=checked_on
        )
    audit("kyc.recorded", client, by=by, state=kyc.state)
    return kyc


@transaction.atomic
def block_kyc(*, client: Client, by: User) -> KycStatus:
    """Block a client: orders that buy wait until the client is checked again."""
    refuse_received(client)
    kyc, _created = KycStatus.objects.get_or_create(client=client)
    kyc.state = KycStatus.State.BLOCKED
    kyc.checked_by_name = by.full_name
    kyc.save()
    audit("kyc.blocked", client, by=by)
    return kyc


@transaction.atomic
def enter_payout_account(*, client: Client, iban: str, holder: str, by: User) -> PayoutAccount:
    """Enter an account that money may be paid out to once another person has verified it.

    ``iban`` is compact and valid. Raises DomainError where the client has it already.
    """
    refuse_received(client)
    if client.payout_accounts.current().filter(iban=iban).exists():
        raise DomainError("payout_account_known", _("The client already has this account."), field="iban")
    account = PayoutAccount(
        client=client, iban=iban, holder=holder, entered_by=by, entered_by_name=by.full_name
    )
    account.full_clean(exclude=["entered_by", "verified_by"])
    account.save()
    audit("payout_account.entered", account, by=by)
    return account


@transaction.atomic
def verify_payout_account(*, account: PayoutAccount, by: User) -> PayoutAccount:
    """Verify an account that somebody else entered.

    Raises DomainError for the person who entered it, and for a partner's record.
    """
    account = PayoutAccount.objects.select_for_update(of=("self",)).get(pk=account.pk)
    refuse_received(account)
    if account.entered_by_id == by.pk:
        raise DomainError(
            "verified_by_same_person",
            _("You entered this account yourself. Ask a colleague to verify it."),
        )
    if not account.is_verified:
        account.verified_by, account.verified_by_name = by, by.full_name
        account.verified_at = timezone.now()
        account.save()
        audit("payout_account.verified", account, by=by)
    return account


@transaction.atomic
def plan_review(*, client: Client, day: datetime.date | None, by: User) -> Client:
    """Set when a client is seen next."""
    refuse_received(client)
    client.next_review_date = day
    client.save(update_fields=["next_review_date"])
    audit("client.review_planned", client, by=by)
    return client


@transaction.atomic
def write_note(*, client: Client, text: str, by: User) -> Note:
    """Keep a note about a client, for this institution alone."""
    refuse_received(client)
    note = Note.objects.create(client=client, text=text, author=by)
    audit("note.written", note, by=by)
    return note


@transaction.atomic
def promise_task(*, client: Client, title: str, due_date: datetime.date, by: User | None) -> Task:
    """Note something to do for a client by a day: what ``by`` has promised, or what the client's advisor has to do."""
    refuse_received(client)
    task = Task.objects.create(client=client, title=title, due_date=due_date, assignee=by or client.advisor)
    audit("task.promised", task, by=by)
    return task


@transaction.atomic
def finish_task(*, task: Task, by: User) -> Task:
    """Mark a task as done."""
    refuse_received(task)
    if task.done_at is None:
        task.done_at = timezone.now()
        task.save(update_fields=["done_at"])
        audit("task.finished", task, by=by)
    return task
