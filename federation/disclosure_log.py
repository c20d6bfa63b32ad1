"""Read the facts that the disclosure log is worked out from, in a fixed number of queries."""

import datetime
import uuid
from collections.abc import Iterable

from django.db.models import Prefetch, QuerySet
from django.utils import timezone

from clients.calculations.states import MandateState
from clients.models import Mandate, MandateDecision
from federation import scope
from federation.agreements.sharing import field_name, kind_name
from federation.disclosure import (
    Consent,
    Disclosure,
    Hold,
    Partnership,
    Retention,
    Shared,
    Submission,
    Wording,
    disclosures,
)
from federation.mirror.ending import years_later
from federation.models import (
    Acceptance,
    Agreement,
    AgreementVersion,
    Function,
    Institution,
    RecordsHold,
    SealedErasure,
    SealedRecords,
    Side,
    Suspension,
)


def log_of(institution: Institution, mandates: QuerySet[Mandate] | None = None) -> list[Disclosure]:
    """Return what ``institution`` disclosed of its clients, or of those of ``mandates``; newest first.

    Runs in the institution's schema.
    """
    logged = (Mandate.objects.all() if mandates is None else mandates).filter(
        submitted_at__isnull=False, client__isnull=False
    )
    partnerships = _partnerships(institution, logged)
    rows = logged.filter(agreement__in=list(partnerships))
    decided = Prefetch("decisions", MandateDecision.objects.order_by("decided_at"))
    return disclosures(
        [_submission(mandate) for mandate in rows.select_related("client").prefetch_related(decided)],
        partnerships,
    )


def _submission(mandate: Mandate) -> Submission:
    client = mandate.client
    assert client is not None
    assert mandate.agreement is not None
    assert mandate.submitted_at is not None
    return Submission(
        mandate=mandate.pk,
        number=mandate.number,
        client=client.pk,
        client_name=client.name,
        agreement=mandate.agreement,
        submitted_at=min([mandate.submitted_at, *_instants(mandate, "submitted")]),
        left_at=_left_at(mandate),
        text_version=mandate.disclosure_text,
        authorised_on=mandate.disclosure_authorised_on,
        was_accepted=any(
            decision.outcome in MandateDecision.TAKEN_ON for decision in mandate.decisions.all()
        ),
    )


def _instants(mandate: Mandate, event: str) -> list[datetime.datetime]:
    return [
        datetime.datetime.fromisoformat(each["at"]) for each in mandate.history if each.get("event") == event
    ]


def _left_at(mandate: Mandate) -> datetime.datetime | None:
    """Return when the mandate left the agreement's scope: withdrawn, or its submission rejected."""
    ends = [
        decision.decided_at
        for decision in mandate.decisions.all()
        if decision.outcome == MandateDecision.Outcome.REJECTED and decision.submission == mandate.submission
    ]
    if mandate.state == MandateState.WITHDRAWN:
        ends += _instants(mandate, "withdrawn")[-1:]
    return min(ends, default=None)


def _partnerships(institution: Institution, mandates: QuerySet[Mandate]) -> dict[uuid.UUID, Partnership]:
    answers = Prefetch("acceptances", Acceptance.objects.select_related("institution").order_by("at"))
    versions = (
        AgreementVersion.objects.filter(in_force_from__isnull=False)
        .order_by("in_force_from")
        .prefetch_related(answers)
    )
    holds = Prefetch("holds", RecordsHold.objects.in_force(timezone.localdate()), to_attr="in_force")
    erasures = Prefetch(
        "erasures", SealedErasure.objects.filter(mandate__in=mandates.order_by().values("pk"))
    )
    sealed = SealedRecords.objects.filter(owner=institution).prefetch_related(holds, erasures)
    agreements: Iterable[Agreement] = (
        Agreement.objects.visible_to(institution)
        .filter(started_at__isnull=False)
        .select_related("manager", "channel")
        .prefetch_related(
            Prefetch("versions", versions),
            Prefetch("sealed", sealed),
            Prefetch("suspensions", Suspension.objects.filter(what=Suspension.What.EVERYTHING)),
        )
    )
    return {agreement.pk: _partnership(agreement, institution) for agreement in agreements}


def _partnership(agreement: Agreement, institution: Institution) -> Partnership:
    side = agreement.side_of(institution)
    versions = list(agreement.versions.all())
    partner = agreement.partner_of(institution)
    return Partnership(
        partner=partner.name,
        name=agreement.name,
        wordings=tuple(_wording(version, side, ends=version is versions[-1]) for version in versions),
        suspensions=tuple((each.suspended_at, each.resumed_at) for each in agreement.suspensions.all()),
        retention=_retention(agreement, partner, versions),
    )


def _retention(
    agreement: Agreement, partner: Institution, versions: list[AgreementVersion]
) -> Retention | None:
    if not partner.is_hosted and agreement.ended_at is not None and versions:
        until = years_later(agreement.ended_at.date(), versions[-1].retention_years)
        return Retention(until=until, is_here=False)
    for sealed in agreement.sealed.all():
        holds = tuple(Hold(mandate=hold.mandate, until=hold.until) for hold in sealed.in_force)
        erased = {each.mandate: each.at for each in sealed.erasures.all()}
        return Retention(until=sealed.retain_until, holds=holds, erased=erased, erased_at=sealed.erased_at)
    return None


def _wording(version: AgreementVersion, side: Side, *, ends: bool) -> Wording:
    assert version.in_force_from is not None
    return Wording(
        number=version.number or 0,
        since=version.in_force_from,
        until=version.in_force_to,
        shared=clients_shared(version, side),
        consents=tuple(
            Consent(institution=answer.institution.short_name, name=answer.by_name, at=answer.at)
            for answer in version.acceptances.all()
            if answer.answer == Acceptance.Answer.ACCEPTED
        ),
        ended_by_agreement=ends,
    )


def clients_shared(version: AgreementVersion, side: Side) -> tuple[Shared, ...]:
    """Return what ``side`` shares of clients under ``version``: kinds and fields in words, no models, no prices."""
    return tuple(
        Shared(
            kind=kind_name(share.kind.label),
            # A mandate's offer and its name are called the same: people read it once.
            fields=tuple(dict.fromkeys(field_name(share.kind, name) for name in share.fields)),
        )
        for share in scope.shares(version, side)
        if share.kind.function not in {None, Function.MODELS}
    )
