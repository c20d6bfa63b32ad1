"""What the partner will see, before one accepts: counts, and samples when asked."""

from django_tenants.utils import tenant_context

from accounts.models import AuditEntry
from tests.clients import make as clients_make
from tests.federation.agreements import make
from tests.federation.agreements.browsing import page, people, url


def test_the_preview_counts_what_the_partner_will_see_and_hides_samples_until_asked(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    advisor = people(harbour).advisor
    with tenant_context(harbour):
        plan = clients_make.offer(agreement=agreement.pk, origin=aurora.pk)
        clients_make.submitted(advisor, plan, clients_make.client(advisor, "Nora", "Beispiel"))
        clients_make.client(advisor, "Petra", "Prospect")
    path = url("version_preview", agreement.pk, agreement.version_id)
    client = browse(harbour, people(harbour).administrator)
    plain = client.get(path)
    counts = {kind.title: kind.count for kind in plain.context["kinds"]}
    assert (counts["Clients"], counts["Mandates"], counts["Parties"]) == (1, 1, 0)
    assert b"Beispiel" not in plain.content
    # What has no record stands together in one line, to open.
    shown, empty = plain.content.decode().split("kinds without a record now")
    assert "<b>Clients</b>" in shown
    assert "<b>Mandates</b>" in shown
    assert "<b>Parties</b>" not in shown
    assert "<b>Parties</b>" in empty
    sampled = client.get(path, {"samples": "1"})
    samples = sampled.content.decode()
    assert "Beispiel" in samples
    assert "Prospect" not in samples
    mandates = next(kind for kind in sampled.context["kinds"] if kind.title == "Mandates")
    (row,) = mandates.samples
    shown = dict(zip(mandates.fields, row, strict=True))
    assert len(shown) == len(mandates.fields)
    assert "Nora Beispiel" in shown["client"]
    assert shown["agreement"] == agreement.name
    assert shown["offer"] == plan.name
    assert not {"{}", "[]"} & set(shown.values())
    with tenant_context(harbour):
        assert AuditEntry.objects.filter(action="agreement.samples_seen", record_id=agreement.pk).count() == 1


def test_samples_of_offers_name_their_model_and_state_fees_in_per_cent(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    with tenant_context(aurora):
        plan = clients_make.offer(agreement=agreement.pk)
    path = url("version_preview", agreement.pk, agreement.version_id)
    found = page(browse, aurora, path, data={"samples": "1"}).context["kinds"]
    offers = next(kind for kind in found if kind.title == "Offers")
    shown = dict(zip(offers.fields, offers.samples[0], strict=True))
    assert shown["model"].endswith(plan.name)
    assert shown["management fee a year"] == "1.00%"


def test_the_preview_never_shows_what_the_partner_has(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    advisor = people(harbour).advisor
    with tenant_context(harbour):
        plan = clients_make.offer(agreement=agreement.pk, origin=aurora.pk)
        clients_make.submitted(advisor, plan, clients_make.client(advisor, "Nora", "Beispiel"))
    path = url("version_preview", agreement.pk, agreement.version_id)
    shown = page(browse, aurora, path, data={"samples": "1"})
    assert "Clients" not in {kind.title for kind in shown.context["kinds"]}
    assert b"Beispiel" not in shown.content


def test_under_advice_the_channel_shares_nothing(aurora, meadow, browse):
    agreement = make.active(aurora, meadow, "advice")
    shown = page(browse, meadow, url("version_preview", agreement.pk, agreement.version_id))
    assert shown.context["kinds"] == []
    assert b"Nothing of yours" in shown.content
    assert b"Show samples" not in shown.content
