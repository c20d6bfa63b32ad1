from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ClientsConfig(AppConfig):
    name = "clients"
    verbose_name = _("Clients")

    def ready(self) -> None:
        from accounts.search import register
        from clients import day, finders

        day.register_own()
        for finder in (finders.find_clients, finders.find_mandates, finders.find_instructions):
            register(finder)
