"""Versions of an agreement: what differs, and whose acceptance it takes."""

import pytest

from accounts.errors import DomainError
from federation.agreements import drafting, life, proposals
from federation.agreements.difference import difference
from federation.agreements.sharing import withholdable
from federation.models import Agreement, AgreementVersion
from tests.federation.agreements import make


def next_version(agreement, party, *, withheld=None, terms=None):
    """Draft and propose the next version for ``party``."""
    draft = make.act(drafting.revise, agreement, party)
    if withheld is not None:
        make.act(drafting.withhold, draft, party, withheld=withheld)
    if terms is not None:
        make.act(drafting.word, draft, party, terms=terms, retention_years=5)
    return make.act(proposals.propose, draft, party)


def in_force(agreement) -> AgreementVersion:
    return Agreement.objects.get(pk=agreement.pk).version


def test_narrowing_what_one_shares_takes_effect_at_once(aurora, harbour):
    agreement = make.active(aurora, harbour)
    version = next_version(agreement, harbour, withheld=["clients.Party", "clients.Client.national_id"])
    assert in_force(agreement) == version
    assert agreement.versions.get(number=1).in_force_to is not None
    assert agreement.events.filter(kind="narrowed", institution=harbour).exists()


def test_widening_it_again_waits_for_the_other_party(aurora, harbour):
    agreement = make.active(aurora, harbour)
    narrow = next_version(agreement, harbour, withheld=["clients.Party"])
    wide = next_version(agreement, harbour, withheld=[])
    assert in_force(agreement) == narrow
    make.act(proposals.accept, wide, aurora)
    assert in_force(agreement) == wide


def test_narrowing_and_widening_together_take_both(aurora, harbour):
    agreement = make.active(aurora, harbour)
    narrow = next_version(agreement, harbour, withheld=["clients.Party"])
    next_version(agreement, harbour, withheld=["clients.RiskProfile"])
    assert in_force(agreement) == narrow


def test_other_terms_take_both(aurora, harbour):
    agreement = make.active(aurora, harbour)
    first = in_force(agreement)
    next_version(agreement, aurora, terms="Other terms.")
    assert in_force(agreement) == first


def test_a_narrowing_overtakes_an_open_proposal_so_that_nothing_widens_unseen(aurora, harbour):
    agreement = make.active(aurora, harbour)
    waiting = next_version(agreement, harbour, terms="Other terms.")
    narrow = next_version(agreement, harbour, withheld=["clients.ContactDetail"])
    assert in_force(agreement) == narrow
    with pytest.raises(DomainError) as refused:
        make.act(proposals.accept, waiting, aurora)
    assert refused.value.code == "proposal_gone"


def test_a_version_that_changes_nothing_is_not_proposed(aurora, harbour):
    with pytest.raises(DomainError) as refused:
        next_version(make.active(aurora, harbour), harbour, withheld=[])
    assert refused.value.code == "nothing_changed"


def test_a_party_cannot_withhold_for_its_partner(aurora, harbour):
    agreement = make.active(aurora, harbour)
    draft = make.act(drafting.revise, agreement, aurora)
    with pytest.raises(DomainError) as refused:
        make.act(drafting.withhold, draft, aurora, withheld=["clients.Party"])
    assert refused.value.code == "cannot_withhold"


def test_what_the_partner_withholds_stays_withheld_in_the_next_version(aurora, harbour):
    agreement = make.active(aurora, harbour)
    next_version(agreement, harbour, withheld=["clients.Party"])
    draft = make.act(drafting.revise, agreement, aurora)
    make.act(drafting.withhold, draft, aurora, withheld=["portfolios.Valuation"])
    draft.refresh_from_db()
    assert draft.withheld == ["clients.Party", "portfolios.Valuation"]


@pytest.mark.parametrize(
    "needed", ["clients.Client", "clients.Mandate", "clients.MandateDecision", "trading.Order"]
)
def test_what_the_partner_needs_cannot_be_withheld(aurora, harbour, needed):
    version = make.draft(aurora, harbour)
    for side in ("manager", "channel"):
        assert needed not in withholdable(version.division, version.private, side)


def test_winding_down_allows_narrowing_only(aurora, harbour):
    agreement = make.active(aurora, harbour)
    make.act(life.wind_down, agreement, aurora)
    next_version(agreement, harbour, withheld=["clients.Party"])
    with pytest.raises(DomainError) as refused:
        next_version(agreement, harbour, withheld=[])
    assert refused.value.code == "winding_down"


WORDS = [
    ({"withheld": ["clients.Party"]}, "narrowing", "Harbour no longer shares: Party."),
    ({"withheld": ["clients.Client.lei"]}, "narrowing", "Harbour no longer shares the field LEI of Client."),
    ({"private": ["reporting"]}, "narrowing", "Aurora keeps reporting private."),
    ({"division": {"trading": "channel"}}, "changes", "Trading is done by Harbour, no longer by Aurora."),
    ({"terms": "Other."}, "changes", "The terms are worded differently."),
    ({"retention_years": 10}, "changes", "Received records are kept 10 years after the end instead of 5."),
]


@pytest.mark.parametrize(("change", "kind", "text"), WORDS, ids=[each[2] for each in WORDS])
def test_a_difference_reads_in_words(aurora, harbour, change, kind, text):
    before = make.draft(aurora, harbour)
    after = AgreementVersion(
        agreement=before.agreement,
        division={**before.division, **change.get("division", {})},
        private=change.get("private", before.private),
        withheld=change.get("withheld", before.withheld),
        terms=change.get("terms", before.terms),
        retention_years=change.get("retention_years", before.retention_years),
    )
    found = difference(before, after)
    assert text in [each.text for each in found.changes]
    assert found.classification == kind
    if kind == "narrowing":
        assert difference(after, before).classification == "widening"
        assert not difference(after, before).takes_one("channel")


def test_the_same_wording_does_not_differ(aurora, harbour):
    version = make.draft(aurora, harbour)
    assert not difference(version, version)
