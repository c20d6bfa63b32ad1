"""Exactly what the partner will see: real counts, and samples for those who ask for them."""

import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
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

    @property
    def is_empty(self) -> bool:
        """Say whether there is no row of this kind now; of an external owner that is not known."""
        return self.count == 0


def preview_shown(
    request: HttpRequest, version: AgreementVersion, *, with_samples: bool = False
) -> list[SharedKindShown]:
    """Return what this institution will share under ``version``; never what the partner has."""
    side = version.agreement.side_of(institution_of(request))
    place = {kind.label: index for index, kind in enumerate(scope.KINDS)}
    found = sorted(scope.preview(version, side), key=lambda kind: place[kind.label])
    names = _names(version, found) if with_samples else {}
    return [_kind_shown(kind, names, with_samples=with_samples) for kind in found]


def _kind_shown(
    kind: scope.PreviewKind, names: Mapping[uuid.UUID, str], *, with_samples: bool
) -> SharedKindShown:
    # What is linked and called by the same word beside it, such as a mandate's offer, is shown once, by its name.
    columns = {field.label: index for index, field in enumerate(kind.fields)}
    return SharedKindShown(
        title=capfirst(kind.title),
        function=str(Function(kind.function).label) if kind.function else str(_("Reference data")),
        fields=tuple(columns),
        count=kind.count,
        samples=tuple(
            tuple(
                Truncator(text_of(kind.label, kind.fields[index].name, row[index], names)).chars(60)
                for index in columns.values()
            )
            for row in kind.samples
            if with_samples
        ),
    )


def _names(version: AgreementVersion, kinds: list[scope.PreviewKind]) -> dict[uuid.UUID, str]:
    """Return what linked records of the samples are called, by what the partner will see of them."""
    shared = {kind.label: {field.name for field in kind.fields} for kind in kinds}
    linked: dict[str, set[uuid.UUID]] = defaultdict(set)
    for kind in kinds:
        for index, field in enumerate(kind.fields):
            model = scope.by_label()[kind.label].field(field.name).related_model
            known = scope.kind_of(model) if model else None
            if known is not None and known.label in shared:
                linked[known.label] |= {row[index] for row in kind.samples if row[index]}
    names = {version.agreement_id: version.agreement.name}
    for label, keys in linked.items():
        fields = [name for name in ("number", "name") if name in shared[label]]
        model = scope.by_label()[label].model
        if fields and keys:
            for key, *values in model._default_manager.filter(pk__in=keys).values_list("pk", *fields):
                names[key] = " ".join(_called(model, value) for value in values if value)
    return names


def _called(model: type[Model], value: Any) -> str:
    """Return a name or number; a bare number with the word for it, such as "version 2"."""
    return f"{model._meta.get_field('number').verbose_name} {value}" if isinstance(value, int) else str(value)  # type: ignore[union-attr]


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
            "kinds": preview_shown(request, version, with_samples=with_samples),
            "with_samples": with_samples,
        },
    )
