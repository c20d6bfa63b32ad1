"""Write to people of this institution, with dates and numbers as each of them chose."""

import logging
import smtplib
from collections.abc import Callable, Collection, Iterable

from django.core.mail import send_mail
from django.db.models import QuerySet
from django.utils import translation

from accounts.models import Role, User

logger = logging.getLogger(__name__)


def people_with(roles: Collection[Role]) -> QuerySet[User]:
    """Return the active people with one of ``roles``, anywhere in the institution."""
    return User.objects.filter(is_active=True, role_assignments__role__in=roles).distinct()


def write_to(people: Iterable[User], message: Callable[[], tuple[str, str]]) -> int:
    """Send to each person what ``message`` returns, written as they chose: a subject and a text.

    Returns how many messages left; what does not leave is logged.
    """
    sent = 0
    for person in people:
        with translation.override(person.locale):
            subject, text = message()
        try:
            sent += send_mail(" ".join(subject.split()), text, None, [person.email])
        except (smtplib.SMTPException, OSError):
            logger.warning("mail_not_sent", extra={"person": str(person.pk)})
    return sent
