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


# What a version was, what it becomes, all that is said of it, that in one word, and who may do so alone.
CASES = [
    ({}, {"withheld": ["clients.Party"]}, ["Harbour no longer shares: Party."], "narrowing", "channel"),
    ({"withheld": ["clients.Party"]}, {"withheld": []}, ["Harbour also shares: Party."], "widening", None),
    (
        {},
        {"withheld": ["clients.Client.lei"]},
        ["Harbour no longer shares the field LEI of Client."],
        "narrowing",
        "channel",
    ),
    (
        {"withheld": ["clients.Client.lei", "clients.Client.nationality"]},
        {"withheld": []},
        ["Harbour also shares the fields LEI, nationality of Client."],
        "widening",
        None,
    ),
    (
        {"withheld": ["clients.Client.lei"]},
        {"withheld": ["clients.Party"]},
        ["Harbour also shares the field LEI of Client.", "Harbour no longer shares: Party."],
        "changes",
        None,
    ),
    # Where there are no reports, nobody can release them.
    (
        {},
        {"private": ["reporting"]},
        ["Harbour no longer shares: Report release.", "Aurora keeps reporting private."],
        "narrowing",
        "manager",
    ),
    (
        {"private": ["reporting"]},
        {"private": []},
        ["Harbour also shares: Report release.", "Aurora shares reporting, which was private."],
        "widening",
        None,
    ),
    (
        {"private": ["reporting"]},
        {"private": [], "withheld": ["reporting.Report.made_by_name"]},
        [
            "Harbour also shares: Report release.",
            "Aurora shares reporting, which was private, all but: Report: made by name.",
        ],
        "widening",
        None,
    ),
    ({"private": ["reporting"]}, {"withheld": ["reporting.Report"]}, [], "nothing", None),
    (
        {},
        {"division": {"reporting": "channel"}},
        ["Reporting is done by Harbour, no longer by Aurora."],
        "changes",
        None,
    ),
    (
        {},
        {"division": {"reporting": "channel"}, "withheld": ["reporting.Report.made_by_name"]},
        [
            "Reporting is done by Harbour, no longer by Aurora.",
            "Aurora no longer shares the field made by name of Report.",
        ],
        "changes",
        None,
    ),
    (
        {},
        {"division": {"reporting": "channel"}, "private": ["reporting"]},
        [
            "Reporting is done by Harbour, no longer by Aurora.",
            "Harbour no longer shares: Report release.",
            "Harbour keeps reporting private.",
        ],
        "changes",
        None,
    ),
    ({}, {"terms": "Other."}, ["The terms are worded differently."], "changes", None),
    ({}, {"terms": "As agreed. \n"}, [], "nothing", None),
    (
        {},
        {"retention_years": 10},
        ["Received records are kept 10 years after the end instead of 5."],
        "changes",
        None,
    ),
    (
        {},
        {"withheld": ["clients.Party"], "terms": "Other."},
        ["Harbour no longer shares: Party.", "The terms are worded differently."],
        "changes",
        None,
    ),
]


def worded(version: AgreementVersion, changes) -> AgreementVersion:
    """Return a version like another one but for some of its wording."""
    kept = ("private", "withheld", "terms", "retention_years")
    return AgreementVersion(
        agreement=version.agreement,
        division={**version.division, **changes.get("division", {})},
        **{name: changes.get(name, getattr(version, name)) for name in kept},
    )


@pytest.mark.parametrize(("was", "becomes", "texts", "kind", "alone"), CASES)
def test_a_difference_is_told_whole_in_words(aurora, harbour, was, becomes, texts, kind, alone):
    before = worded(make.draft(aurora, harbour), was)
    found = difference(before, worded(before, becomes))
    assert [each.text for each in found.changes] == texts
    assert found.classification == kind
    assert [side for side in ("manager", "channel") if found.takes_one(side)] == ([alone] if alone else [])


def test_the_same_wording_does_not_differ(aurora, harbour):
    version = make.draft(aurora, harbour)
    assert not difference(version, version)
