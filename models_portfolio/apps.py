from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ModelPortfoliosConfig(AppConfig):
    name = "models_portfolio"
    verbose_name = _("Model portfolios")

    def ready(self) -> None:
        from accounts.named import register as register_named
        from accounts.search import register as register_finder
        from models_portfolio import (
            attention,
            receivers,  # noqa: F401
        )
        from models_portfolio.models import ModelAssignment, ModelPortfolio, ModelVersion, Offer, View
        from models_portfolio.search import find_models
        from portfolios.attention import register as register_reason
        from portfolios.models import Portfolio

        register_named(Offer.objects.visible_to, "", "models_portfolio.offer", "offer")
        register_named(
            ModelPortfolio.objects.visible_to,
            "models_portfolio:model_detail",
            "models_portfolio.modelportfolio",
            "model",
        )
        register_named(
            lambda user: ModelVersion.objects.visible_to(user).select_related("model"),
            "",
            "models_portfolio.modelversion",
            "version",
        )
        register_named(
            lambda user: View.objects.visible_to(user).select_related("security"), "", "models_portfolio.view"
        )
        register_named(
            lambda user: ModelAssignment.objects.filter(
                portfolio__in=Portfolio.objects.visible_to(user).values("pk")
            ),
            "models_portfolio:model_detail",
            "models_portfolio.modelassignment",
            through="model",
            within_units=True,
        )
        register_finder(find_models)
        for reason in attention.REASONS:
            register_reason(reason)
