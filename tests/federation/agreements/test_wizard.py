"""The wizard from a partner to a proposal."""

from federation.models import Agreement, Institution
from tests.federation.agreements import make
from tests.federation.agreements.browsing import page, people, url


def test_the_wizard_leads_from_a_partner_to_a_proposal(aurora, harbour, browse):
    client = browse(harbour, people(harbour).administrator)
    started = client.post(url("agreement_new"), {"side": "channel", "partner": str(aurora.pk)})
    agreement = Agreement.objects.get()
    assert started.url == url("draft_step", agreement.pk, "work")
    step = {
        name: url("draft_step", agreement.pk, name)
        for name in ("work", "sharing", "offers", "preview", "propose")
    }
    assert client.post(step["work"], {"preset": "closed"}).url == step["sharing"]
    shown = client.get(step["sharing"]).context["form"]
    ticked = {entry: "on" for entry in shown.entries if entry != "clients.Party"}
    assert client.post(step["sharing"], ticked).url == step["offers"]
    assert client.post(step["offers"]).url == step["preview"]
    shown = client.get(step["preview"]).content
    assert b"Clients come in one at a time" in shown
    assert client.post(step["preview"]).url == step["propose"]
    done = client.post(step["propose"], {"terms": "As discussed.", "retention_years": "7"})
    assert done.url == url("agreement_detail", agreement.pk)
    version = agreement.versions.get()
    assert (version.number, version.withheld, version.retention_years) == (1, ["clients.Party"], 7)
    # The browser's Back leads to a draft that is none any more, and so does a page open elsewhere.
    assert client.get(step["propose"]).url == done.url
    late = client.post(step["propose"], {"terms": "Otherwise.", "retention_years": "7"}, follow=True)
    assert late.redirect_chain == [(done.url, 302)]
    assert b"Nothing was saved" in late.content
    assert agreement.versions.get().terms == "As discussed."
    assert page(browse, aurora, url("agreement_detail", agreement.pk)).status_code == 200


def test_the_wizard_goes_on_where_it_was_left(aurora, harbour, browse):
    client = browse(harbour, people(harbour).administrator)
    client.post(url("agreement_new"), {"side": "channel", "partner": str(aurora.pk)})
    agreement = Agreement.objects.get()
    client.post(url("draft_step", agreement.pk, "work"), {"preset": "advice"})
    client.post(
        url("draft_step", agreement.pk, "propose"), {"terms": "Half", "retention_years": "6", "save": "1"}
    )
    assert agreement.versions.get().number is None
    assert b"Half" in client.get(url("draft_step", agreement.pk, "propose")).content
    assert client.get(url("agreement_detail", agreement.pk)).content.count(b"Continue the draft") == 1


def test_the_wizard_keeps_what_was_typed_and_says_what_is_missing(harbour, browse):
    client = browse(harbour, people(harbour).administrator)
    answer = client.post(
        url("agreement_new"), {"side": "manager", "name": "Our plan", "external_lei": "wrong"}
    )
    text = answer.content.decode()
    assert "Choose a partner from the list" in text
    assert "no valid LEI" in text
    assert 'value="Our plan"' in text


def test_a_partner_from_the_list_and_an_external_one_are_one_too_many(aurora, harbour, browse):
    client = browse(harbour, people(harbour).administrator)
    both = {"side": "manager", "partner": str(aurora.pk), "external_name": "Fernab Bank"}
    assert "one of the two" in client.post(url("agreement_new"), both).content.decode()


def test_agreements_with_external_partners_carry_their_names_and_further_ones_a_number(
    aurora, harbour, browse
):
    client = browse(harbour, people(harbour).administrator)
    for name in ("External Bank One", "External Bank Two"):
        client.post(url("agreement_new"), {"side": "manager", "external_name": name})
    for _each in range(2):
        client.post(url("agreement_new"), {"side": "channel", "partner": str(aurora.pk)})
    assert set(Agreement.objects.values_list("name", flat=True)) == {
        "Harbour – External Bank One", "Harbour – External Bank Two", "Aurora – Harbour", "Aurora – Harbour 2",
    }  # fmt: skip


def test_a_name_that_another_agreement_has_is_refused_and_its_external_partner_not_entered(
    aurora, harbour, browse
):
    named = make.active(aurora, harbour).name
    client = browse(harbour, people(harbour).administrator)
    form = {"side": "manager", "external_name": "Fernab Bank", "name": named.upper()}
    assert "agreement of this name already" in client.post(url("agreement_new"), form).content.decode()
    assert not Institution.everyone.filter(name="Fernab Bank").exists()


def test_a_draft_goes_on_under_its_numbered_name_until_its_parties_change(aurora, borealis, harbour, browse):
    make.active(aurora, harbour)
    client = browse(harbour, people(harbour).administrator)
    client.post(url("agreement_new"), {"side": "channel", "partner": str(aurora.pk)})
    agreement = Agreement.objects.get(state="draft")
    step = url("draft_step", agreement.pk, "partner")
    for partner, name in ((aurora, "Aurora – Harbour 2"), (borealis, "Borealis – Harbour")):
        agreement.refresh_from_db()
        client.post(step, {"side": "channel", "partner": str(partner.pk), "name": agreement.name})
        agreement.refresh_from_db()
        assert agreement.name == name


def test_an_external_partner_is_entered_in_the_wizard(harbour, browse):
    client = browse(harbour, people(harbour).administrator)
    typed = {"side": "manager", "external_name": "Fernab Bank", "external_country": "at"}
    refused = client.post(url("agreement_new"), {**typed, "external_country": "zz"}).content.decode()
    assert "There is no such country" in refused
    client.post(url("agreement_new"), typed)
    agreement = Agreement.objects.get()
    assert (agreement.channel.name, agreement.channel.country, agreement.channel.is_hosted) == (
        "Fernab Bank",
        "AT",
        False,
    )
    client.post(url("draft_step", agreement.pk, "work"), {"preset": "advice"})
    shown = client.get(url("draft_step", agreement.pk, "preview")).content
    assert b"Offers" in shown
    assert b"Clients come in" not in shown, "under advice none ever does"
    wording = {"terms": "", "retention_years": "5"}
    proposed = client.post(url("draft_step", agreement.pk, "propose"), wording, follow=True).content
    assert b"Fernab Bank is not on this platform: send it the wording" in proposed
    version = agreement.versions.get()
    assert b"Record acceptance" in client.get(url("version_detail", agreement.pk, version.pk)).content
    refused = client.post(url("accept", agreement.pk, version.pk), {"answered_on": "2026-01-05"})
    assert b"Fill this in." in refused.content
    client.post(
        url("accept", agreement.pk, version.pk), {"partner_name": "Frida Fern", "answered_on": "2026-01-05"}
    )
    answer = version.acceptances.get(institution=agreement.channel)
    assert (answer.by_name, answer.at.date().isoformat()) == ("Frida Fern", "2026-01-05")
    assert client.get(url("agreement_detail", agreement.pk)).status_code == 200
