from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from accounts.finders import find_people
        from accounts.forms import say_what_to_enter
        from accounts.search import register

        register(find_people)
        say_what_to_enter()
