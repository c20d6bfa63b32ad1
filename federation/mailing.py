"""Write to an institution's people, dates and numbers as each chose."""

import logging
import smtplib
from collections.abc import Callable, Collection

from django.core.mail import send_mail
from django.utils import translation

from accounts.models import Role, User
from federation.models import Institution

logger = logging.getLogger(__name__)


def write_to(
    institution: Institution, roles: Collection[Role], message: Callable[[], tuple[str, str]]
) -> int:
    """Send to each person with one of ``roles`` what ``message`` returns: a subject and a text.

    Runs in the institution's schema. Returns how many messages left; what does not leave is logged.
    """
    people = User.objects.filter(is_active=True, role_assignments__role__in=roles).distinct()
    sent = 0
    for person in people:
        with translation.override(person.locale):
            subject, text = message()
        try:
            sent += send_mail(" ".join(subject.split()), text, None, [person.email])
        except (smtplib.SMTPException, OSError):
            logger.warning("mail_not_sent", extra={"institution": str(institution.pk)})
    return sent
