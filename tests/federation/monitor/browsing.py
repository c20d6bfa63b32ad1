"""Where the pages of mirrors are, and who opens them."""

from django.urls import reverse
from django.utils import timezone
from django_tenants.utils import tenant_context

from federation.models import ParkedRow, Stream
from tests import factories


def url(name: str, *args) -> str:
    return reverse(f"federation:{name}", args=args, urlconf="config.urls")


def person(institution, who="administrator"):
    with tenant_context(institution):
        return getattr(factories.cast(), who)


def stream_of(agreement, owner) -> Stream:
    return Stream.objects.get(agreement=agreement, owner=owner)


def park(stream: Stream, **values) -> ParkedRow:
    return ParkedRow.objects.create(
        stream=stream, kind="clients.Client", key=stream.pk, reason="client_number_unique",
        retry_at=timezone.now(), **values,
    )  # fmt: skip
