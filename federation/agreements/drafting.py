"""Write an agreement or its next version; nothing here is seen by the partner."""

import re
import uuid
from collections.abc import Collection, Mapping
from itertools import count
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User, audit
from federation.agreements import timeline
from federation.agreements.access import OPEN_TO_PROPOSALS, State, locked, own_draft, require_state, save
from federation.agreements.presets import PRESETS, preset_of
from federation.agreements.sharing import withholdable
from federation.models import Agreement, AgreementVersion, Function, Institution, Side
from federation.scope import objections
from models_portfolio.models import Offer


@transaction.atomic
def register_external(
    *, by: User, institution: Institution, name: str, country: str = "", lei: str = "", contact: str = ""
) -> Institution:
    """Enter an institution that is not hosted here; only ``institution`` will see it."""
    name = name.strip()
    if Institution.objects.called(name).exists():
        raise DomainError(
            "institution_hosted", _("%(name)s is on this platform. Choose it from the list.") % {"name": name}
        )
    external = Institution(
        name=name,
        short_name=name[:40],
        country=country or institution.country,
        lei=lei,
        contact=contact,
        currency=institution.currency,
        registered_by=institution,
    )
    external.full_clean(exclude=["schema_name"])
    external.save()
    audit("institution.registered", external, by=by)
    return external


def _parties(institution: Institution, side: str, partner: Institution) -> dict[str, Institution]:
    if partner.pk == institution.pk:
        raise DomainError(
            "agreement_with_oneself", _("Choose another institution than your own."), field="partner"
        )
    if not partner.is_hosted and partner.registered_by_id != institution.pk:
        raise DomainError("partner_unknown", _("Choose a partner from the list."), field="partner")
    if side == Side.MANAGER:
        return {"manager": institution, "channel": partner}
    return {"manager": partner, "channel": institution}


def _name(parties: dict[str, Institution]) -> str:
    return " – ".join(
        party.short_name if party.is_hosted else party.name
        for party in (parties["manager"], parties["channel"])
    )


def _free_name(
    wanted: str, parties: dict[str, Institution], institution: Institution, but: uuid.UUID | None = None
) -> str:
    """Return the name that was chosen, or that of both parties, numbered where it is taken already."""
    visible = Agreement.objects.visible_to(institution).exclude(pk=but)
    taken = {name.casefold() for name in visible.values_list("name", flat=True)}
    if wanted and wanted.casefold() in taken:
        raise DomainError(
            "name_taken", _("You have an agreement of this name already. Choose another name."), field="name"
        )
    if wanted:
        return wanted
    # Room is left for the number.
    name = _name(parties)[:140]
    names = (name if number == 1 else f"{name} {number}" for number in count(1))
    return next(each for each in names if each.casefold() not in taken)


def _is_named_after(parties: dict[str, Institution], name: str) -> bool:
    """Say whether nobody chose this name."""
    given = _name(parties)[:140]
    return name == given or re.fullmatch(rf"{re.escape(given)} \d+", name) is not None


@transaction.atomic
def draft(
    *,
    by: User,
    institution: Institution,
    partner: Institution,
    side: str,
    preset: str = Agreement.Preset.CLOSED,
    name: str = "",
    terms: str = "",
    retention_years: int = 5,
) -> Agreement:
    """Start an agreement with ``partner`` in which ``institution`` is on ``side``; only it sees the draft."""
    parties = _parties(institution, side, partner)
    agreement = Agreement(
        **parties,
        name=_free_name(name, parties, institution),
        preset=preset,
        drafted_by=institution,
        state=State.DRAFT,
    )
    agreement.full_clean()
    agreement.save()
    division = PRESETS[preset]
    AgreementVersion.objects.create(
        agreement=agreement,
        division=dict(division.division),
        private=list(division.private),
        terms=terms,
        retention_years=retention_years,
        proposed_by=institution,
    )
    timeline.record(timeline.EventKind.DRAFTED, agreement, by=by, institution=institution)
    return agreement


@transaction.atomic
def set_parties(
    version: AgreementVersion,
    *,
    by: User,
    institution: Institution,
    partner: Institution,
    side: str,
    name: str,
) -> Agreement:
    """Choose other parties for a draft that was never proposed."""
    version = own_draft(version, institution)
    agreement = version.agreement
    if agreement.state != State.DRAFT or agreement.versions.filter(number__isnull=False).exists():
        raise DomainError(
            "parties_fixed",
            _("The partner has seen this agreement already. Start another one for another partner."),
        )
    parties = _parties(institution, side, partner)
    before = {"manager": agreement.manager, "channel": agreement.channel}
    if name == agreement.name and parties != before and _is_named_after(before, name):
        name = ""
    if parties != before:
        # What one's own side may withhold differs with the side.
        save(version, withheld=[])
    save(agreement, **parties, name=_free_name(name, parties, institution, but=agreement.pk))
    audit("agreement.changed", agreement, by=by)
    return agreement


@transaction.atomic
def revise(agreement: Agreement, *, by: User, institution: Institution) -> AgreementVersion:
    """Return this party's draft of the next version: the one it has, or a new copy of the latest wording."""
    agreement = locked(agreement, institution)
    require_state(agreement, *OPEN_TO_PROPOSALS, State.ACTIVE, State.WINDING_DOWN)
    existing = agreement.versions.drafts().filter(proposed_by=institution).first()
    if existing is not None:
        return existing
    latest = agreement.version or agreement.versions.filter(number__isnull=False).first()
    if latest is None:
        raise DomainError("agreement_empty", _("There is nothing to revise yet."))
    copy = AgreementVersion.objects.create(
        agreement=agreement,
        division=latest.division,
        private=latest.private,
        withheld=latest.withheld,
        terms=latest.terms,
        retention_years=latest.retention_years,
        proposed_by=institution,
    )
    audit("agreement.revised", agreement, by=by)
    return copy


@transaction.atomic
def divide(
    version: AgreementVersion,
    *,
    by: User,
    institution: Institution,
    preset: str = Agreement.Preset.CUSTOM,
    division: Mapping[str, str] | None = None,
    private: Collection[str] = (),
) -> AgreementVersion:
    """Choose the way of working of a draft: a preset, or who performs each function and what stays private.

    Another division starts with nothing withheld. Raises DomainError, with every reason, for a
    division that makes no sense.
    """
    version = own_draft(version, institution)
    if division is None:
        division, private = PRESETS[preset].division, PRESETS[preset].private
    refused = [*moved(version.agreement, division), *objections(division, private)]
    if refused:
        raise DomainError("division_senseless", " ".join(refused), data={"objections": refused})
    chosen = preset_of(dict(division), list(private))
    if version.division != division or set(version.private) != set(private):
        save(version, division=dict(division), private=sorted(private), withheld=[])
        audit("agreement.changed", version.agreement, by=by, preset=chosen)
    if version.agreement.state == State.DRAFT:
        save(version.agreement, preset=chosen)
    return version


def moved(agreement: Agreement, division: Mapping[str, str]) -> list[str]:
    """Return in sentences which functions would change hands although records of theirs may exist already."""
    before = agreement.version
    if before is None:
        return []
    return [
        _(
            "%(function)s is done by %(party)s since this agreement began, and its records do not change "
            "their owner. End this agreement and start another one to divide the work otherwise."
        )
        % {
            "function": function.label,
            "party": agreement.party(before.division[function]).short_name,
        }
        for function in Function
        if function in before.division and before.division[function] != division.get(function)
    ]


@transaction.atomic
def withhold(
    version: AgreementVersion, *, by: User, institution: Institution, withheld: list[str]
) -> AgreementVersion:
    """Choose which kinds and fields of one's own functions a draft leaves out; the partner's stay as they are."""
    version = own_draft(version, institution)
    side = version.agreement.side_of(institution)
    own = set(withholdable(version.division, version.private, side))
    unknown = sorted(set(withheld) - own)
    if unknown:
        raise DomainError(
            "cannot_withhold",
            _("%(what)s cannot be left out: without it the partner could not do its part.")
            % {"what": unknown[0]},
            data={"entries": unknown},
        )
    partners = [entry for entry in version.withheld if entry not in own]
    save(version, withheld=sorted({*partners, *withheld}))
    audit("agreement.changed", version.agreement, by=by, withheld=sorted(withheld))
    return version


@transaction.atomic
def word(
    version: AgreementVersion, *, by: User, institution: Institution, **wording: Any
) -> AgreementVersion:
    """Write the ``terms`` and ``retention_years`` of a draft."""
    version = own_draft(version, institution)
    save(version, **{name: wording[name] for name in ("terms", "retention_years") if name in wording})
    version.full_clean(exclude=["division", "private", "withheld"])
    audit("agreement.changed", version.agreement, by=by)
    return version


@transaction.atomic
def discard(version: AgreementVersion, *, by: User, institution: Institution) -> Agreement | None:
    """Throw an own draft away, and with it an agreement that no partner has ever seen; return what is left."""
    version = own_draft(version, institution)
    agreement = version.agreement
    audit("agreement.discarded", agreement, by=by)
    if agreement.versions.exclude(pk=version.pk).exists():
        version.delete()
        return agreement
    Offer.objects.own().filter(agreement=agreement.pk).delete()
    agreement.delete()
    return None
