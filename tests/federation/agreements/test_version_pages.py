"""What pages say that a version changes, and narrowing at once from the last page of the wizard."""

from federation.agreements import drafting, proposals
from federation.models import Agreement
from tests.federation.agreements import make
from tests.federation.agreements.browsing import page, people, url


def test_both_parties_read_what_a_proposed_version_changes(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    draft = make.act(drafting.revise, agreement, aurora)
    make.act(drafting.word, draft, aurora, terms="As agreed.", retention_years=10)
    version = make.act(proposals.propose, draft, aurora)
    for party in (aurora, harbour):
        client = browse(party, people(party).administrator)
        for path in (url("agreement_detail", agreement.pk), url("version_detail", agreement.pk, version.pk)):
            shown = client.get(path).content.decode()
            assert "kept 10 years after the end instead of 5" in shown, path
    # Terms and retention are read before the answer and before all that crosses.
    places = [
        shown.index(text)
        for text in ("As agreed.", "Received records are kept 10", "will see of yours", "Your answer")
    ]
    assert places == sorted(places)


def words_of(browse, party, agreement, number: int) -> list[str] | None:
    """Return what the agreement's page says that a version changed; None where it compares with nothing."""
    rows = page(browse, party, url("agreement_detail", agreement.pk)).context["rows"]
    found = next(row["difference"] for row in rows if row["version"].number == number)
    return None if found is None else [each.text for each in found.changes]


def test_a_first_version_that_was_declined_is_compared_with_nothing_for_ever(aurora, harbour, browse):
    first = make.proposed(aurora, harbour)
    make.act(proposals.decline, first, harbour, reason="Not like this.")
    again = make.act(drafting.revise, first.agreement, harbour)
    make.act(drafting.withhold, again, harbour, withheld=["clients.ContactDetail"])
    make.act(proposals.accept, make.act(proposals.propose, again, harbour), aurora)
    for party in (aurora, harbour):
        assert words_of(browse, party, first.agreement, 1) is None


def test_the_words_of_a_withdrawn_version_stay_when_another_comes_into_force(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    draft = make.act(drafting.revise, agreement, aurora)
    make.act(drafting.word, draft, aurora, terms="Other terms.", retention_years=5)
    make.act(proposals.withdraw, make.act(proposals.propose, draft, aurora), aurora)
    said = words_of(browse, harbour, agreement, 2)
    assert said == ["The terms are worded differently."]
    narrower = make.act(drafting.revise, agreement, harbour)
    make.act(drafting.withhold, narrower, harbour, withheld=["clients.Party"])
    make.act(proposals.propose, narrower, harbour)
    assert words_of(browse, harbour, agreement, 3) == ["Harbour no longer shares: Party."]
    assert words_of(browse, harbour, agreement, 2) == said


def narrowed(browse, agreement, party, **posted):
    """Withhold a kind in a next version, and press a button of its last page."""
    draft = make.act(drafting.revise, agreement, party)
    make.act(drafting.withhold, draft, party, withheld=["clients.Party"])
    wording = {"terms": "As agreed.", "retention_years": "5"}
    client = browse(party, people(party).administrator)
    return client.post(url("draft_step", agreement.pk, "propose"), {**wording, **posted})


def test_narrow_now_with_other_terms_too_says_why_it_does_neither(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    refused = narrowed(browse, agreement, harbour, terms="Other.", narrow="all").content.decode()
    assert "Nothing was narrowed" in refused
    assert "Narrow now, leave the terms" in refused
    assert "Propose to Aurora" in refused
    assert not agreement.versions.filter(number=2).exists()


def test_narrow_now_can_leave_the_terms_as_they_are_in_force(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    narrowed(browse, agreement, harbour, terms="Other.", narrow="keeping_terms")
    version = Agreement.objects.get(pk=agreement.pk).version
    assert (version.number, version.withheld, version.terms) == (2, ["clients.Party"], "As agreed.")


def test_what_only_narrows_is_not_brought_into_force_by_who_pressed_propose(aurora, harbour, browse):
    agreement = make.active(aurora, harbour)
    refused = narrowed(browse, agreement, harbour).content.decode()
    assert "Nothing was proposed" in refused
    assert 'value="all"' in refused
    assert Agreement.objects.get(pk=agreement.pk).version.number == 1
