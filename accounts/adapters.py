"""How people come in: by invitation only."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.tasks import send_password_reset


def own_url(request: HttpRequest, path: str) -> str:
    """Return the address of ``path`` as the platform knows it, for mails: whoever asks names the host they please."""
    institution = getattr(request, "tenant", None)
    domain = institution.get_primary_domain() if institution else None
    return f"{domain.url}{path}" if domain else request.build_absolute_uri(path)


@dataclass(frozen=True)
class Sender:
    """What allauth's mails say of the site that sends them."""

    name: str
    domain: str


class AccountAdapter(DefaultAccountAdapter):
    """Close self-service sign-up; an administrator invites. Mails name the institution and its own address."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("The e-mail address or the password is not correct."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def send_password_reset_mail(self, user: Any, email: str, context: dict[str, Any]) -> None:
        # By a worker: how long a mail takes, or that it cannot leave, would tell who has an account here.
        sender = self._sender()
        send = partial(send_password_reset.delay, str(user.pk), sender.name, sender.domain)
        transaction.on_commit(send, robust=True)

    def format_email_subject(self, subject: str) -> str:
        return f"[{self._sender().name}] {subject}"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        super().send_mail(template_prefix, email, {**context, "current_site": self._sender()})

    def _sender(self) -> Sender:
        url = own_url(self.request, "/")
        return Sender(getattr(getattr(self.request, "tenant", None), "name", url), url)
