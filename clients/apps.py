from functools import partial
from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


def _of_visible_clients(model: Any, user: Any) -> Any:
    """Return the records of a model that are about clients whom a person may see."""
    from clients.models import Client

    return model.objects.filter(client__in=Client.objects.visible_to(user).values("pk"))


class ClientsConfig(AppConfig):
    name = "clients"
    verbose_name = _("Clients")

    def ready(self) -> None:
        from accounts.named import register as register_named
        from accounts.search import register
        from clients import day, finders
        from clients.models import Client, ClientInstruction, Mandate, Note, PayoutAccount, Task

        for model, page, key in (
            (Client, "clients:client_detail", "client"),
            (Mandate, "clients:mandate_detail", "mandate"),
            (ClientInstruction, "clients:instruction_detail", "instruction"),
        ):
            register_named(model.objects.visible_to, page, model._meta.label_lower, key, within_units=True)
        for each in (Note, PayoutAccount, Task):
            visible = partial(_of_visible_clients, each)
            register_named(
                visible, "clients:client_detail", each._meta.label_lower, through="client", within_units=True
            )
        day.register_own()
        for finder in (finders.find_clients, finders.find_mandates, finders.find_instructions):
            register(finder)
