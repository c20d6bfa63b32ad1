"""What the search finds among clients, mandates and instructions."""

from collections.abc import Iterator

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from stdnum import iso11649

from accounts.models import User
from accounts.search import PER_KIND, Result
from clients.models import Client, ClientInstruction, Mandate


def find_clients(user: User, words: str) -> Iterator[Result]:
    """Yield clients by name, number or official number."""
    found = Client.objects.visible_to(user).filter(
        Q(name__icontains=words)
        | Q(number__iexact=words)
        | Q(national_id__iexact=words)
        | Q(registration_number__iexact=words)
        | Q(lei__iexact=words)
    )
    for client in found.order_by("name")[: PER_KIND + 1]:
        url = reverse("clients:client_detail", args=[client.pk])
        yield Result(client.name, f"{client.number} · {client.get_kind_display()}", url, _("Clients"), "user")


def find_mandates(user: User, words: str) -> Iterator[Result]:
    """Yield mandates by number or name, and those of clients by name."""
    found = (
        Mandate.objects.visible_to(user)
        .filter(Q(number__icontains=words) | Q(name__icontains=words) | Q(client__name__icontains=words))
        .select_related("client")
        .prefetch_related("decisions")
    )
    for mandate in found.order_by("number")[: PER_KIND + 1]:
        url = reverse("clients:mandate_detail", args=[mandate.pk])
        what = f"{mandate.client} · {mandate.offer_name or mandate.name} · {mandate.state_label}"
        yield Result(mandate.number, what, url, _("Mandates"), "file-certificate")


def find_instructions(user: User, words: str) -> Iterator[Result]:
    """Yield deposits by the payment reference, as written on a payment."""
    reference = iso11649.compact(words)
    if not reference.startswith("RF"):
        return
    found = ClientInstruction.objects.visible_to(user).filter(reference__istartswith=reference)
    for instruction in found.select_related("mandate__client")[: PER_KIND + 1]:
        url = reverse("clients:instruction_detail", args=[instruction.pk])
        label = f"{instruction.get_kind_display()} {instruction.reference}"
        yield Result(label, str(instruction.mandate.client), url, _("Instructions"), "send")
