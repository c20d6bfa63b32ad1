"""The advisor's day."""

from collections.abc import Callable

from django.test import Client as Browser
from django_tenants.utils import tenant_context

from clients import services
from clients.models import Client, KycStatus
from federation.models import Institution
from tests.clients import make
from tests.clients.pages import queries_of, url_of
from tests.factories import Cast

Browse = Callable[..., Browser]


def test_an_empty_day_welcomes_and_offers_the_first_step(advisor: Browser) -> None:
    page = advisor.get(url_of("clients:my_day")).content.decode()
    assert "Enter your first client" in page
    assert url_of("clients:client_create") in page


def test_a_day_gathers_what_waits(advisor: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
        services.return_mandate(mandate=mandate, by=people.manager, reason="Copy unreadable.")
        KycStatus.objects.filter(client=mandate.client).update(valid_until=make.today(-1))
        services.promise_task(
            client=mandate.client, title="Call back", due_date=make.today(), by=people.advisor
        )
        services.plan_review(client=mandate.client, day=make.today(3), by=people.advisor)
        services.start_mandate(client=make.client(people.advisor, "Bea"), by=people.advisor)
        done = make.active(people.advisor, people.manager, of=make.client(people.advisor, "Cleo"))
        deposit = services.send_instruction(
            instruction=services.draft_instruction(
                mandate=done, kind="deposit", amount=make.D(10), by=people.advisor
            ),
            by=people.advisor,
        )
        services.record_outcome(instruction=deposit, outcome="done", by=people.operations)
    page = advisor.get(url_of("clients:my_day"))
    found = {work.key: work for work in page.context["waiting"]}
    assert {"returned", "kyc", "tasks", "reviews", "unfinished", "answered"} <= set(found)
    assert found["returned"].items[0].url == url_of("clients:mandate_detail", mandate.pk)
    assert found["kyc"].items[0].tone == "late"
    assert found["answered"].items[0].text == "Cash has arrived"
    assert b"Copy unreadable." in page.content


def test_a_day_shows_own_clients_first_and_the_unit_on_request(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor)
        services.promise_task(client=client, title="Theirs", due_date=make.today(), by=people.advisor)
        Client.objects.filter(pk=client.pk).update(advisor=None)
    assert b"Theirs" not in advisor.get(url_of("clients:my_day")).content
    assert b"Theirs" in advisor.get(f"{url_of('clients:my_day')}?of=unit").content


def test_a_day_takes_a_fixed_number_ofqueries_of(advisor: Browser, meadow: Institution, people: Cast) -> None:
    def add(name: str) -> None:
        with tenant_context(meadow):
            mandate = make.submitted(people.advisor, of=make.client(people.advisor, name))
            services.return_mandate(mandate=mandate, by=people.manager, reason="More.")
            services.promise_task(client=mandate.client, title="x", due_date=make.today(), by=people.advisor)
            services.start_mandate(client=mandate.client, by=people.advisor)

    add("Ada")
    few = queries_of(advisor, url_of("clients:my_day"))
    for name in ("Bea", "Cleo", "Dora"):
        add(name)
    assert queries_of(advisor, url_of("clients:my_day")) == few <= 40
