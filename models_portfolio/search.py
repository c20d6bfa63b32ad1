"""Find models by name or code."""

from collections.abc import Iterator

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.origins import origin_name
from accounts.search import PER_KIND, Result
from models_portfolio.models import ModelPortfolio


def find_models(user: User, words: str) -> Iterator[Result]:
    """Yield the models whose name or code contains the words."""
    found = ModelPortfolio.objects.visible_to(user).filter(
        Q(name__icontains=words) | Q(code__icontains=words)
    )
    for model in found[: PER_KIND + 1]:
        whose = origin_name(model.origin) if model.origin else ""
        yield Result(
            label=model.name,
            sublabel=" · ".join(filter(None, [model.code, whose])),
            url=reverse("models_portfolio:model_detail", args=[model.pk]),
            kind=_("Models"),
            icon="chart-donut",
        )
