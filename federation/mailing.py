"""Write to an institution's people, each in their language."""

from collections.abc import Callable, Collection

from accounts import mailing
from accounts.models import Role
from federation.models import Institution


def write_to(
    institution: Institution, roles: Collection[Role], message: Callable[[], tuple[str, str]]
) -> int:
    """Send to each person with one of ``roles`` what ``message`` returns: a subject and a text.

    Runs in the institution's schema. Returns how many messages left.
    """
    return mailing.write_to(mailing.people_with(roles), message)
