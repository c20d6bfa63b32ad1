"""Both sides are proven equal, or what differs is counted; a repair mends it."""

import pytest
from django.utils import timezone

from clients.models import Client
from federation.mirror.batch import run_batch
from federation.models import Agreement, AgreementEvent, ParkedRow, Proof, Stream
from federation.monitor import parked, proof
from portfolios.models import Portfolio
from tests import factories
from tests.federation.mirror.beside import beside, refusing
from tests.federation.mirror.everything import everything
from tests.federation.mirror.world import World


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests bring proofs forward themselves."""
    monkeypatch.setattr(proof, "_send", lambda *_args, **_kwargs: None)


def proven(stream: Stream, **kwargs) -> Proof:
    asked = proof.ask(stream, **kwargs)
    for _turn in range(20):
        proof.run(asked.pk)
        asked.refresh_from_db()
        if asked.is_over:
            return asked
    raise AssertionError(asked.state)


def tamper(world: World, statement: str) -> None:
    """Change received rows behind everybody's back."""
    world.execute(
        f"SET session_replication_role = replica; {statement}; SET session_replication_role = origin"
    )


def of(found: Proof, kind: str) -> dict:
    return next(each for each in found.kinds if each["kind"] == kind)


def test_p1_a_mirror_of_every_kind_is_proven_equal(world: World) -> None:
    agreement = world.agree()
    everything(world, agreement)
    world.drain()

    for stream in agreement.streams.all():
        found = proven(stream)
        assert (found.result, found.pending, found.state) == ("equal", 0, "done"), found.kinds
        assert found.rows == sum(each["theirs"] for each in found.kinds) > 0
        assert found.at is not None
        assert found.done == found.total == len(found.kinds)


def test_changes_that_wait_are_applied_before_it_is_proven(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)

    found = proven(world.stream(agreement, "harbour"))

    assert (found.result, found.pending) == ("equal", 0)
    assert of(found, "clients.Mandate")["theirs"] == 1


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE aurora.clients_client SET name = 'Somebody else' WHERE origin IS NOT NULL", "different"),
        ("DELETE FROM aurora.clients_contactdetail WHERE origin IS NOT NULL", "missing"),
        ("UPDATE harbour.clients_riskprofile SET id = gen_random_uuid()", "extra"),
    ],
)
def test_a_row_that_was_tampered_with_is_found_and_a_repair_mends_it(
    world: World, statement: str, what: str
) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    if what == "extra":
        # One profile more than the owner has.
        world.execute("UPDATE harbour.clients_mandate SET risk_profile_id = NULL")
        world.drain()
    tamper(world, statement)
    stream = world.stream(agreement, "harbour")

    found = proven(stream)
    assert found.result == "unequal"
    assert sum(each[what] for each in found.kinds) == 1
    mended = proven(stream, repairs=True)

    assert mended.result == "equal", mended.kinds
    world.assert_in_step(agreement)
    kinds = list(AgreementEvent.objects.filter(stream=stream).order_by("at").values_list("kind", flat=True))
    assert {"proven", "repair_asked"} <= set(kinds)
    assert mandate.pk


@pytest.mark.parametrize("repairs", [False, True])
def test_while_a_worker_has_the_mirror_a_proof_waits_its_turn_instead_of_queueing_again(
    world: World, repairs: bool
) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    stream = world.stream(agreement, "harbour")
    asked = proof.ask(stream, repairs=repairs)

    waiting = beside(lambda: proof.run(asked.pk))
    with world.another_connection() as worker:
        worker.execute("SELECT 1 FROM public.federation_stream WHERE id = %s FOR NO KEY UPDATE", [stream.pk])
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        worker.rollback()
    waiting.join()
    asked.refresh_from_db()
    assert (asked.state, asked.result, asked.pending) == ("done", "equal", 0)


def test_a_repair_of_a_mirror_that_cannot_run_ends_and_says_why(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.portfolio(mandate)
    world.execute("ALTER TABLE harbour.portfolios_portfolio RENAME COLUMN manager_name TO other_name")
    try:
        found = proven(world.stream(agreement, "aurora"), repairs=True)
    finally:
        world.execute("ALTER TABLE harbour.portfolios_portfolio RENAME COLUMN other_name TO manager_name")
    assert found.state == "failed"
    assert "manager_name" in found.problem


def test_a_change_between_snapshot_and_end_is_not_seen_by_the_proof(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    client = world.mandate(agreement).client
    world.drain()
    stream = world.stream(agreement, "harbour")
    real, changed = proof._compare_kind, []

    def slow(cursor, flow, share, keys):
        if not changed:
            changed.append(world.another_connection())
            changed[0].execute("UPDATE harbour.clients_client SET name = 'New'")
            changed[0].commit()
            run_batch(stream.pk)
        return real(cursor, flow, share, keys)

    monkeypatch.setattr(proof, "_compare_kind", slow)
    found = proven(stream)
    changed[0].close()

    assert found.result == "equal"
    assert client is not None
    with world.within("aurora"):
        client.refresh_from_db()
    assert client.name == "New"


@pytest.mark.parametrize("has_changes", [True, False])
def test_p5_a_proof_tells_nothing_of_what_came_after_a_suspension(world: World, has_changes: bool) -> None:
    agreement = world.agree()
    world.suspend(agreement)
    if has_changes:
        world.mandate(agreement)

    found = proven(world.stream(agreement, "harbour"))

    assert (found.state, found.result, found.pending, found.kinds) == ("failed", "", 0, [])


def withholding(world: World, *fields: str) -> Agreement:
    """Return an agreement in force that leaves fields out."""
    agreement = Agreement.objects.get(pk=world.agree(fill=False).pk)
    agreement.versions.update(withheld=list(fields))
    world.drain()
    return agreement


def test_p2_a_value_in_a_field_that_is_not_shared_is_found_and_a_repair_blanks_it(world: World) -> None:
    agreement = withholding(world, "clients.Client.national_id")
    world.mandate(agreement)
    world.drain()
    stream = world.stream(agreement, "harbour")
    tamper(
        world,
        "UPDATE aurora.clients_client SET national_id = 'LEAKED', next_review_date = now()"
        " WHERE origin IS NOT NULL",
    )

    found = proven(stream)
    assert found.result == "unequal"
    assert (of(found, "clients.Client")["unshared"], of(found, "clients.Client")["different"]) == (1, 0)
    assert found.differing == 1
    mended = proven(stream, repairs=True)

    assert (mended.result, mended.differing) == ("equal", 0), mended.kinds
    with world.within("aurora"):
        client = Client.objects.get()
    assert (client.national_id, client.next_review_date) == ("", None)


def test_f13_what_another_agreement_shares_is_no_leak_and_no_repair_takes_it_away(world: World) -> None:
    narrow = withholding(world, "clients.Client.national_id")
    wide = world.agree()
    client = world.mandate(narrow).client
    world.mandate(wide, client=client)
    with world.within("harbour"):
        Client.objects.update(national_id="AB-1")
    world.drain()

    for agreement in (narrow, wide):
        found = proven(world.stream(agreement, "harbour"), repairs=True)
        assert found.result == "equal", found.kinds
    with world.within("aurora"):
        assert Client.objects.get().national_id == "AB-1"


def test_nothing_is_counted_under_an_agreement_that_has_ended_meanwhile(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    stream = world.stream(agreement, "harbour")
    world.change(agreement, state=Agreement.State.TERMINATED, ended_at=timezone.now())

    found = proven(stream)

    assert (found.state, found.kinds) == ("failed", [])


def test_a_parked_row_is_no_drift(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with refusing(world, "harbour.portfolios_portfolio", "currency <> 'EUR'"):
        world.portfolio(mandate)
        world.drain()
        found = proven(world.stream(agreement, "aurora"))

    assert found.result == "parked"
    assert of(found, "portfolios.Portfolio") | {"parked": 1, "missing": 0} == of(
        found, "portfolios.Portfolio"
    )


def test_a_partner_learns_no_count_of_what_is_outside_the_scope(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.mandate(None)
    world.mandate(agreement, submitted=False)
    world.drain()

    found = proven(world.stream(agreement, "harbour"))

    assert of(found, "clients.Mandate")["ours"] == of(found, "clients.Client")["ours"] == 1


def test_one_proof_runs_at_a_time_and_a_forsaken_one_is_taken_up(world: World, monkeypatch) -> None:
    stream = world.stream(world.agree(), "harbour")
    first, second = proof.ask(stream), proof.ask(stream)
    assert first == second
    sent: list[object] = []
    monkeypatch.setattr(proof, "_send", lambda pk, **_kwargs: sent.append(pk))
    proof.take_up()
    assert sent == []
    Proof.objects.update(moved_at=stream.created_at - proof.FORSAKEN * 2)
    proof.take_up()
    assert sent == [first.pk]


def test_every_night_each_stream_is_asked_for_once(world: World, monkeypatch) -> None:
    agreement = world.agree()
    assert proof.nightly() == proof.nightly() == 1
    assert proof.nightly() == 0
    for asked in Proof.objects.all():
        proof.run(asked.pk)
    assert set(Proof.objects.values_list("stream__owner__schema_name", "result")) == {
        ("aurora", "equal"), ("harbour", "equal"),
    }  # fmt: skip
    assert AgreementEvent.objects.filter(agreement=agreement, kind="proven").count() == 2
    Proof.objects.update(finished_at=stream_day(agreement))
    assert proof.nightly() == 1
    (again,) = Proof.objects.filter(finished_at=None)
    proof.run(again.pk)
    assert AgreementEvent.objects.filter(agreement=agreement, kind="proven").count() == 2


def stream_day(agreement):
    return agreement.created_at - proof.PROVEN_LATELY * 2


def test_a_skipped_row_waits_for_its_next_change_and_a_repair_leaves_it(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with refusing(world, "harbour.portfolios_portfolio", "name <> 'Bad'"):
        portfolio = world.portfolio(mandate)
        with world.within("aurora"):
            Portfolio.objects.update(name="Bad")
        world.drain()
        row = ParkedRow.objects.get()
        with world.within("harbour"):
            parked.skip(
                row,
                by=factories.cast().administrator,
                institution=world.institution("harbour"),
                reason="It is a test account.",
            )
        proven(world.stream(agreement, "aurora"), repairs=True)
        row.refresh_from_db()
        assert row.skipped_at is not None
        assert row.skip_reason == "It is a test account."
        assert AgreementEvent.objects.filter(kind="skipped", note__contains="test account").exists()
    world.drain()
    assert ParkedRow.objects.count() == 1
    with world.within("aurora"):
        Portfolio.objects.filter(pk=portfolio.pk).update(name="Good")
    world.drain()
    assert not ParkedRow.objects.exists()
    world.assert_in_step(agreement)


def test_a_skip_ends_when_the_row_is_refused_again_after_a_change(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with refusing(world, "harbour.portfolios_portfolio", "currency <> 'EUR'"):
        world.portfolio(mandate)
        world.drain()
        with world.within("aurora"):
            by = factories.cast().administrator
            parked.skip(
                ParkedRow.objects.get(), by=by, institution=world.institution("aurora"), reason="Later."
            )
            Portfolio.objects.update(name="Other")
        world.drain()
        assert ParkedRow.objects.get().skipped_at is None
    with world.within("harbour"):
        parked.retry(ParkedRow.objects.get(), by=factories.cast().administrator)
    world.drain()
    world.assert_in_step(agreement)
