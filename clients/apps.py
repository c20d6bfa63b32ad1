from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ClientsConfig(AppConfig):
    name = "clients"
    verbose_name = _("Clients")

    def ready(self) -> None:
        from accounts.named import register as register_named
        from accounts.search import register
        from clients import day, finders
        from clients.models import Client, ClientInstruction, Mandate

        for model, page, key in (
            (Client, "clients:client_detail", "client"),
            (Mandate, "clients:mandate_detail", "mandate"),
            (ClientInstruction, "clients:instruction_detail", "instruction"),
        ):
            register_named(model.objects.visible_to, page, model._meta.label_lower, key)
        day.register_own()
        for finder in (finders.find_clients, finders.find_mandates, finders.find_instructions):
            register(finder)
