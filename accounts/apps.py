from django.apps import AppConfig
from django.contrib.admin import apps as django_admin
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from accounts.form_words import say_what_to_enter

        say_what_to_enter()
        from accounts.finders import find_people
        from accounts.models import ApiToken, Job, Unit, User
        from accounts.named import register as register_named
        from accounts.search import register

        register(find_people)
        register_named(lambda _user: Unit.objects.all(), "", "accounts.unit", "unit", "parent")
        # Who reads the audit trail reads of people too.
        register_named(lambda _user: User.objects.all(), "accounts:person_detail", "accounts.user", "user")
        register_named(lambda _user: ApiToken.objects.all(), "", "accounts.apitoken")
        register_named(lambda _user: Job.objects.all(), "", "accounts.job")


class AdminConfig(django_admin.AdminConfig):
    """Django's admin behind the institutions' own sign-in."""

    default = False
    default_site = "accounts.admin_site.Site"
