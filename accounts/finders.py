"""What the search finds among people."""

from collections.abc import Iterator

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.rights import can
from accounts.search import PER_KIND, Result


def find_people(user: User, words: str) -> Iterator[Result]:
    """Yield people by name or e-mail address, for those who may read the list of people."""
    if not (can(user, "people.edit") or can(user, "people.read")):
        return
    found = User.objects.filter(Q(full_name__icontains=words) | Q(email__icontains=words))
    for person in found.order_by("full_name")[: PER_KIND + 1]:
        url = reverse("accounts:person_detail", args=[person.pk])
        yield Result(person.full_name, person.email, url, _("People"), "user")
