from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ModelPortfoliosConfig(AppConfig):
    name = "models_portfolio"
    verbose_name = _("Model portfolios")

    def ready(self) -> None:
        from models_portfolio import receivers  # noqa: F401
