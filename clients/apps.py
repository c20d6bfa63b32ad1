from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ClientsConfig(AppConfig):
    name = "clients"
    verbose_name = _("Clients")

    def ready(self) -> None:
        from accounts.named import register as register_named
        from accounts.search import register
        from clients import day, finders
        from clients.models import ClientInstruction, Mandate

        register_named("mandate", Mandate.objects.visible_to, "clients:mandate_detail")
        register_named("instruction", ClientInstruction.objects.visible_to, "clients:instruction_detail")
        day.register_own()
        for finder in (finders.find_clients, finders.find_mandates, finders.find_instructions):
            register(finder)
