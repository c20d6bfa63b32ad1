"""Questions about agreements: which of them exist for an institution."""

import re
import uuid
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import F, Func, Q, TextField, Value
from django.db.models.functions import Length

if TYPE_CHECKING:
    from federation.models import Institution


def by_name(path: str = "name") -> tuple[Any, ...]:
    """Return the order of agreements' names as people read it: "A – B 3" before "A – B 10"."""
    unnumbered = Func(
        F(path), Value(r"\s*\d+$"), Value(""), function="regexp_replace", output_field=TextField()
    )
    return (unnumbered, Length(path), F(path))


def name_key(name: str) -> tuple[str, int, str]:
    """Return what sorts names as ``by_name`` does."""
    return re.sub(r"\s*\d+$", "", name), len(name), name


class AgreementQuerySet(models.QuerySet[Any]):
    """Agreements of all institutions; every page asks through ``visible_to``."""

    def visible_to(self, institution: "Institution") -> "AgreementQuerySet":
        """Return the agreements that ``institution`` is a party to; a draft is its drafter's alone."""
        party = Q(manager=institution.pk) | Q(channel=institution.pk)
        return self.filter(party).exclude(Q(state="draft") & ~Q(drafted_by=institution.pk))

    def between(self, institution: "Institution", other: uuid.UUID) -> "AgreementQuerySet":
        """Return those of ``institution`` whose other party has this id."""
        return self.visible_to(institution).filter(Q(manager=other) | Q(channel=other))

    def live(self) -> "AgreementQuerySet":
        """Return the agreements under which records flow now."""
        return self.filter(state__in=["active", "winding_down"], suspended_at__isnull=True)


class AgreementVersionQuerySet(models.QuerySet[Any]):
    """Versions of agreements."""

    def visible_to(self, institution: "Institution") -> "AgreementVersionQuerySet":
        """Return what was proposed between ``institution`` and others, and its own drafts."""
        from federation.models import Agreement

        return self.filter(agreement__in=Agreement.objects.visible_to(institution).values("pk")).filter(
            Q(number__isnull=False) | Q(proposed_by=institution.pk)
        )

    def drafts(self) -> "AgreementVersionQuerySet":
        """Return what can still be edited."""
        return self.filter(number__isnull=True)

    def awaiting_answer(self) -> "AgreementVersionQuerySet":
        """Return what was proposed and neither came into force nor was dropped."""
        return self.filter(number__isnull=False, in_force_from__isnull=True, dropped_at__isnull=True)
