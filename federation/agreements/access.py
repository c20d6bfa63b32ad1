"""Get hold of an agreement for a change: the right tenant, the right party, the row locked."""

from django.db import connection, models
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from federation.models import Agreement, AgreementVersion, Institution

State = Agreement.State
# Nothing has been agreed yet, and nothing waits for an answer.
OPEN_TO_PROPOSALS = (State.DRAFT, State.DECLINED, State.WITHDRAWN)


def locked(agreement: Agreement, institution: Institution) -> Agreement:
    """Return the agreement as it is now, its row locked until the transaction ends.

    A mirror in the middle of a batch holds the row shared, so this waits for that batch. Raises
    DomainError where ``institution`` is no party, ValueError outside its schema (its audit trail
    would go astray).
    """
    current = getattr(connection, "schema_name", "")
    if current != institution.schema_name:
        raise ValueError(f"act for {institution.schema_name} in its own schema, not in {current}")
    row: Agreement | None = (
        Agreement.objects.visible_to(institution)
        .select_for_update(of=("self",))
        .select_related("manager", "channel", "version")
        .filter(pk=agreement.pk)
        .first()
    )
    if row is None:
        raise DomainError(
            "agreement_unknown", _("There is no such agreement. Reload the list of agreements.")
        )
    return row


def own_draft(version: AgreementVersion, institution: Institution) -> AgreementVersion:
    """Return ``version`` as it is now, locked, with its agreement; DomainError unless it is an own draft."""
    agreement = locked(version.agreement, institution)
    row: AgreementVersion | None = (
        AgreementVersion.objects.select_for_update()
        .drafts()
        .filter(pk=version.pk, proposed_by=institution)
        .first()
    )
    if row is None:
        raise DomainError(
            "version_fixed",
            _("This version has been proposed and can no longer be edited. Draft a new version."),
        )
    row.agreement = agreement
    return row


def require_state(agreement: Agreement, *states: str) -> None:
    """Raise DomainError unless the agreement is in one of ``states``."""
    if agreement.state not in states:
        raise DomainError(
            "agreement_state",
            _("The agreement is %(state)s, so this is not possible. Reload the page to see where it stands.")
            % {"state": str(agreement.get_state_display()).lower()},
            data={"state": agreement.state},
        )


def save(row: models.Model, **values: object) -> None:
    """Set ``values`` on ``row`` and write just these columns."""
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=[*values])
