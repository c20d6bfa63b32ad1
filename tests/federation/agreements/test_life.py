"""The life of an agreement: which step is possible where, and what each leaves behind."""

import pytest
from django.db import connection
from django.forms import model_to_dict
from django_tenants.utils import tenant_context

from accounts.errors import DomainError
from accounts.models import AuditEntry
from federation.agreements import drafting, life, proposals
from federation.forms import InstitutionForm, partners_for
from federation.mirror import control
from federation.models import Agreement, AgreementVersion, Institution, Side
from tests.federation.agreements import make

State = Agreement.State


def fresh(row):
    return type(row).objects.get(pk=row.pk)


def test_a_proposal_is_in_force_once_the_other_party_accepts(aurora, harbour):
    version = make.proposed(aurora, harbour)
    assert fresh(version.agreement).state == State.PROPOSED
    make.act(proposals.accept, version, harbour)
    agreement = fresh(version.agreement)
    assert agreement.state == State.ACTIVE
    assert agreement.version == version
    assert fresh(version).in_force_from == agreement.started_at is not None
    assert {each.institution_id for each in version.acceptances.all()} == {aurora.pk, harbour.pk}


def test_the_proposer_cannot_accept_for_a_partner_that_is_hosted_here(aurora, harbour):
    with pytest.raises(DomainError) as refused:
        make.act(proposals.accept, make.proposed(aurora, harbour), aurora)
    assert refused.value.code == "partner_answers"


def test_a_third_party_cannot_touch_an_agreement(aurora, harbour, lakeside):
    version = make.proposed(aurora, harbour)
    for service in (proposals.accept, proposals.withdraw):
        with pytest.raises(DomainError) as refused:
            make.act(service, version, lakeside)
        assert refused.value.code == "agreement_unknown"


def test_a_change_is_made_only_in_the_schema_of_who_makes_it(aurora, harbour):
    version = make.proposed(aurora, harbour)
    administrator = make.administrator(harbour)
    with tenant_context(aurora), pytest.raises(ValueError, match="own schema"):
        proposals.accept(version, by=administrator, institution=harbour)


def test_a_declined_proposal_says_why_and_can_be_made_again(aurora, harbour):
    version = make.proposed(aurora, harbour)
    with pytest.raises(DomainError):
        make.act(proposals.decline, version, harbour, reason=" ")
    make.act(proposals.decline, version, harbour, reason="Too little is shared.")
    agreement = fresh(version.agreement)
    assert agreement.state == State.DECLINED
    revised = make.act(drafting.revise, agreement, aurora)
    make.act(drafting.word, revised, aurora, terms="Other terms.", retention_years=7)
    make.act(proposals.propose, revised, aurora)
    make.act(proposals.accept, revised, harbour)
    assert fresh(agreement).version.number == 2


def test_a_withdrawn_proposal_stays_for_both_and_its_draft_for_its_drafter(aurora, harbour):
    version = make.proposed(aurora, harbour)
    draft = make.act(proposals.withdraw, version, aurora)
    assert draft.is_draft
    assert draft.terms == version.terms
    assert fresh(version.agreement).state == State.WITHDRAWN
    for party, seen in ((aurora, {version.pk, draft.pk}), (harbour, {version.pk})):
        assert version.agreement in Agreement.objects.visible_to(party)
        assert set(AgreementVersion.objects.visible_to(party).values_list("pk", flat=True)) == seen
    make.act(drafting.divide, draft, aurora, preset="advice")
    assert fresh(version.agreement).preset == "closed", "the partner does not read of what is only drafted"
    make.act(drafting.divide, draft, aurora, preset="closed")
    make.act(proposals.propose, draft, aurora)
    assert fresh(draft).number == 2


def test_an_external_partners_answer_is_recorded_by_the_hosted_party(aurora):
    with tenant_context(aurora):
        external = drafting.register_external(
            by=make.administrator(aurora), institution=aurora, name="Fernab Bank"
        )
        agreement = drafting.draft(
            by=make.administrator(aurora),
            institution=aurora,
            partner=external,
            side=Side.MANAGER,
            preset="advice",
        )
    version = make.act(proposals.propose, agreement.versions.get(), aurora)
    with pytest.raises(DomainError) as refused:
        make.act(proposals.accept, version, aurora)
    assert refused.value.field == "partner_name"
    make.act(proposals.accept, version, aurora, partner_name="Frida Fern")
    answer = version.acceptances.get(institution=external)
    assert (answer.by_name, answer.recorded_by_name) == ("Frida Fern", "Administrator")
    assert fresh(agreement).state == State.ACTIVE


def test_no_institution_goes_by_another_ones_short_name(aurora, borealis):
    # Partners read it beside every record that they receive.
    form = model_to_dict(aurora, fields=InstitutionForm.Meta.fields)
    taken = {**form, "short_name": borealis.short_name.upper()}
    refused = InstitutionForm(taken, instance=fresh(aurora))
    assert "Another institution goes by this name" in str(refused.errors["short_name"])
    assert InstitutionForm(form, instance=fresh(aurora)).is_valid()


def test_an_external_institution_is_known_only_to_who_entered_it(aurora, borealis):
    with tenant_context(aurora):
        external = drafting.register_external(
            by=make.administrator(aurora), institution=aurora, name="Fernab Bank"
        )
        with pytest.raises(DomainError) as refused:
            drafting.register_external(by=make.administrator(aurora), institution=aurora, name="harbour bank")
    assert refused.value.code == "institution_hosted"
    assert external in partners_for(aurora)
    assert external not in partners_for(borealis)
    with tenant_context(borealis), pytest.raises(DomainError):
        drafting.draft(
            by=make.administrator(borealis), institution=borealis, partner=external, side=Side.MANAGER
        )


SWITCHES = [("everything", "suspended_at"), ("new_mandates", "new_mandates_suspended_at")]


@pytest.mark.parametrize(("what", "column"), SWITCHES)
def test_either_party_suspends_alone_and_only_that_party_resumes(aurora, harbour, what, column):
    agreement = make.active(aurora, harbour)
    with pytest.raises(DomainError, match="up to 2,000 characters"):
        make.act(life.suspend, agreement, harbour, what=what, reason="x" * 2001)
    make.act(life.suspend, agreement, harbour, what=what, reason="Checking something.")
    assert getattr(fresh(agreement), column) is not None
    with pytest.raises(DomainError) as refused:
        make.act(life.resume, agreement, aurora, what=what)
    assert refused.value.code == "not_suspended_here"
    make.act(life.suspend, agreement, aurora, what=what)
    make.act(life.resume, agreement, harbour, what=what)
    assert getattr(fresh(agreement), column) is not None, "the other party's suspension goes on"
    assert fresh(agreement).resumed_at is None
    make.act(life.resume, agreement, aurora, what=what)
    assert getattr(fresh(agreement), column) is None
    assert (fresh(agreement).resumed_at is not None) == (what == "everything")


def test_suspending_everything_stops_the_flow_and_new_mandates_alone_do_not(aurora, harbour):
    agreement = make.active(aurora, harbour)
    make.act(life.suspend, agreement, aurora, what="new_mandates")
    assert fresh(agreement).is_live
    make.act(life.suspend, agreement, aurora, what="everything")
    assert not fresh(agreement).is_live


@pytest.mark.parametrize(
    "step",
    ["suspend", "resume", "wind_down", "terminate", "cut"],
)
@pytest.mark.parametrize("state", ["proposed", "declined", "withdrawn", "terminated"])
def test_an_agreement_that_is_not_in_force_has_no_switches(aurora, harbour, state, step):
    version = make.proposed(aurora, harbour)
    if state == "declined":
        make.act(proposals.decline, version, harbour, reason="No.")
    if state == "withdrawn":
        make.act(proposals.withdraw, version, aurora)
    if state == "terminated":
        make.act(proposals.accept, version, harbour)
        make.act(life.terminate, version.agreement, aurora)
    extra = {"reason": "No."} if step == "cut" else {}
    with pytest.raises(DomainError):
        make.act(getattr(life, step), version.agreement, aurora, **extra)


def test_winding_down_goes_on_until_it_is_terminated(aurora, harbour):
    agreement = make.active(aurora, harbour)
    make.act(life.wind_down, agreement, harbour)
    assert fresh(agreement).state == State.WINDING_DOWN
    assert fresh(agreement).is_live
    make.act(life.terminate, agreement, aurora)
    ended = fresh(agreement)
    assert (ended.state, ended.is_live) == (State.TERMINATED, False)
    assert ended.version.in_force_to == ended.ended_at


def test_an_emergency_cut_ends_everything_and_tells_both_why(aurora, harbour):
    agreement = make.active(aurora, harbour)
    with pytest.raises(DomainError):
        make.act(life.cut, agreement, harbour, reason="")
    make.act(life.cut, agreement, harbour, reason="Their system was broken into.")
    assert fresh(agreement).state == State.TERMINATED
    event = agreement.events.get(kind="cut")
    assert event.note == "Their system was broken into."
    assert event.data["orders"] == 0


def test_each_change_stands_in_the_timeline_and_in_the_audit_trail_of_who_made_it(aurora, harbour):
    agreement = make.active(aurora, harbour)
    make.act(life.suspend, agreement, harbour)
    kinds = [event.kind for event in agreement.events.order_by("at", "pk")]
    assert kinds == ["drafted", "proposed", "accepted", "in_force", "suspended"]
    assert agreement.events.get(kind="suspended").institution == harbour
    with tenant_context(harbour):
        actions = set(AuditEntry.objects.filter(record_id=agreement.pk).values_list("action", flat=True))
    assert actions == {"agreement.accepted", "agreement.in_force", "agreement.suspended"}


def test_the_mirror_hears_of_each_change_in_the_same_transaction(aurora, harbour, monkeypatch):
    heard: list[tuple[str, bool, bool]] = []

    def listen(agreement: Agreement) -> None:
        heard.append((agreement.state, agreement.is_suspended, connection.in_atomic_block))

    monkeypatch.setattr(control, "agreement_changed", listen)
    agreement = make.active(aurora, harbour)
    for step in (life.suspend, life.resume, life.wind_down, life.terminate):
        make.act(step, agreement, aurora)
    assert heard == [
        ("active", False, True),
        ("active", True, True),
        ("active", False, True),
        ("winding_down", False, True),
        ("terminated", False, True),
    ]


def test_a_proposed_version_can_no_longer_be_edited(aurora, harbour):
    version = make.proposed(aurora, harbour)
    for service, extra in (
        (drafting.word, {"terms": "x"}),
        (drafting.divide, {"preset": "advice"}),
        (drafting.discard, {}),
    ):
        with pytest.raises(DomainError) as refused:
            make.act(service, version, aurora, **extra)
        assert refused.value.code == "version_fixed"


def test_a_discarded_draft_leaves_nothing(aurora, harbour):
    version = make.draft(aurora, harbour)
    make.act(drafting.discard, version, aurora)
    assert not Agreement.objects.filter(pk=version.agreement_id).exists()


def test_a_party_discards_its_own_draft_and_nothing_of_what_both_have_read(aurora, harbour):
    version = make.proposed(aurora, harbour)
    agreement = version.agreement
    make.act(proposals.decline, version, harbour, reason="Too little is shared.")
    theirs = make.act(drafting.revise, agreement, harbour)
    again = make.act(proposals.propose, make.act(drafting.revise, agreement, aurora), aurora)
    draft = make.act(proposals.withdraw, again, aurora)
    with pytest.raises(DomainError):
        make.act(drafting.discard, draft, harbour)
    assert make.act(drafting.discard, draft, aurora) == agreement
    assert set(agreement.versions.all()) == {version, again, theirs}
    assert [event.kind for event in agreement.events.order_by("at", "pk")] == [
        "drafted", "proposed", "declined", "proposed", "withdrawn",
    ]  # fmt: skip
    make.act(proposals.accept, make.act(proposals.propose, theirs, harbour), aurora)
    assert fresh(agreement).state == State.ACTIVE


def test_only_one_proposal_is_open_at_a_time(aurora, harbour):
    agreement = make.active(aurora, harbour)
    for party in (aurora, harbour):
        draft = make.act(drafting.revise, agreement, party)
        make.act(drafting.word, draft, party, terms=f"Terms of {party}.")
    mine = agreement.versions.drafts().get(proposed_by=aurora)
    theirs = agreement.versions.drafts().get(proposed_by=harbour)
    make.act(proposals.propose, mine, aurora)
    with pytest.raises(DomainError) as refused:
        make.act(proposals.propose, theirs, harbour)
    assert refused.value.code == "proposal_open"


def test_an_agreement_needs_two_institutions(aurora):
    with tenant_context(aurora), pytest.raises(DomainError):
        drafting.draft(by=make.administrator(aurora), institution=aurora, partner=aurora, side=Side.MANAGER)


def test_a_draft_of_the_next_version_is_seen_by_its_drafter_alone(aurora, harbour, lakeside):
    agreement = make.active(aurora, harbour)
    draft = make.act(drafting.revise, agreement, aurora)
    assert draft in AgreementVersion.objects.visible_to(aurora)
    assert draft not in AgreementVersion.objects.visible_to(harbour)
    assert not AgreementVersion.objects.visible_to(lakeside).exists()
    assert isinstance(harbour, Institution)
