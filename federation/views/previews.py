"""Exactly what the partner will see: real counts, and samples for those who ask for them."""

import uuid
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _

from accounts.models import audit
from accounts.views_base import signed_in
from federation import scope
from federation.models import AgreementVersion, Function
from federation.values import text_of
from federation.views.base import EDIT, agreement_or_404, institution_of, sides, user_of, version_or_404


@dataclass(frozen=True)
class SharedKindShown:
    """A kind that leaves, with its number of rows now, its fields and sample rows as texts."""

    title: str
    function: str
    fields: tuple[str, ...]
    count: int | None
    samples: tuple[tuple[str, ...], ...]


def preview_shown(request: HttpRequest, version: AgreementVersion) -> list[SharedKindShown]:
    """Return what this institution will share under ``version``; never what the partner has."""
    side = version.agreement.side_of(institution_of(request))
    place = {kind.label: index for index, kind in enumerate(scope.KINDS)}
    return [
        SharedKindShown(
            title=capfirst(kind.title),
            function=str(Function(kind.function).label) if kind.function else str(_("Reference data")),
            fields=tuple(field.label for field in kind.fields),
            count=kind.count,
            samples=tuple(
                tuple(
                    Truncator(text_of(kind.label, field.name, value)).chars(60)
                    for field, value in zip(kind.fields, row, strict=True)
                )
                for row in kind.samples
            ),
        )
        for kind in sorted(scope.preview(version, side), key=lambda kind: place[kind.label])
    ]


@signed_in(EDIT)
def version_preview(request: HttpRequest, pk: uuid.UUID, version_pk: uuid.UUID) -> HttpResponse:
    """Show counts, and on request samples, of what this institution will share; looking at samples is audited."""
    agreement = agreement_or_404(request, pk)
    version = version_or_404(request, agreement, version_pk)
    with_samples = request.GET.get("samples") == "1"
    if with_samples:
        audit("agreement.samples_seen", agreement, by=user_of(request), version=version.number)
    return render(
        request,
        "federation/_preview.html",
        {
            **sides(agreement, institution_of(request)),
            "version": version,
            "kinds": preview_shown(request, version),
            "with_samples": with_samples,
        },
    )
