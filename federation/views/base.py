"""What the pages of agreements share: who asks, for which institution, and which rows exist for it."""

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from accounts.errors import DomainError
from accounts.models import User
from accounts.rights import CLIENT_ROLES, can, reach
from federation.models import Acceptance, Agreement, AgreementVersion, Institution

EDIT = "agreement.edit"
READ = ("agreement.edit", "agreement.read")


def user_of(request: HttpRequest) -> User:
    """Return the person who is signed in."""
    assert isinstance(request.user, User)
    return request.user


def institution_of(request: HttpRequest) -> Institution:
    """Return the institution on whose domain the page is asked for."""
    institution: Institution = request.tenant  # type: ignore[attr-defined]
    return institution


def agreement_or_404(request: HttpRequest, pk: uuid.UUID) -> Agreement:
    """Return an agreement of this institution; to anybody else it does not exist."""
    agreements = Agreement.objects.visible_to(institution_of(request)).select_related(
        "manager", "channel", "version", "drafted_by"
    )
    agreement: Agreement = get_object_or_404(agreements, pk=pk)
    return agreement


def version_or_404(request: HttpRequest, agreement: Agreement, pk: uuid.UUID) -> AgreementVersion:
    """Return a version that this institution may see, with its agreement and its answers."""
    answers = Prefetch("acceptances", Acceptance.objects.select_related("institution").order_by("at"))
    versions = (
        AgreementVersion.objects.visible_to(institution_of(request))
        .filter(agreement=agreement)
        .select_related("proposed_by")
        .prefetch_related(answers)
    )
    version: AgreementVersion = get_object_or_404(versions, pk=pk)
    version.agreement = agreement
    return version


def may_edit(request: HttpRequest) -> bool:
    """Say whether buttons that change agreements are shown."""
    return can(user_of(request), EDIT)


def sees_records(request: HttpRequest) -> bool:
    """Say whether lists of records have rows for this person; administrators configure, they do not look."""
    return bool(reach(user_of(request), CLIENT_ROLES))


def sides(agreement: Agreement, institution: Institution) -> dict[str, Any]:
    """Return what templates need to speak of both parties."""
    side = agreement.side_of(institution)
    return {
        "agreement": agreement,
        "side": side.value,
        "us": institution,
        "partner": agreement.partner_of(institution),
    }


def show_refusal(form: Any, error: DomainError) -> None:
    """Put a refused change at the field that is at fault, or above the form."""
    form.add_error(error.field if error.field in form.fields else None, str(error.message))


def say(request: HttpRequest, text: Any) -> None:
    """Tell the person what has been done."""
    messages.success(request, text)
