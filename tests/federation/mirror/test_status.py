"""How a mirror's state reads, and what each party may learn from it."""

from clients.models import ContactDetail, Mandate
from federation.mirror.batch import run_batch
from federation.mirror.status import streams_of
from federation.models import Stream
from tests.federation.mirror.world import World


def test_the_state_of_a_mirror_reads_in_words(world: World) -> None:
    agreement = world.agree()
    outgoing, incoming = streams_of(world.institution("harbour"))
    assert (outgoing.is_outgoing, incoming.is_outgoing) == (True, False)
    assert (outgoing.state, outgoing.pending, outgoing.partner) == ("in_step", 0, agreement.manager)
    world.mandate(agreement)
    behind = streams_of(world.institution("harbour"))[0]
    assert behind.pending
    assert behind.oldest_age is not None
    theirs = streams_of(world.institution("aurora"))[1]
    assert (theirs.is_outgoing, theirs.pending) == (False, None), "p2: the log holds other clients' changes"
    _age(world)
    theirs = streams_of(world.institution("aurora"))[1]
    assert theirs.state == "behind"
    assert theirs.oldest_age is not None
    world.suspend(agreement)
    theirs = streams_of(world.institution("aurora"))[1]
    assert (theirs.state, theirs.pending, theirs.oldest_age) == ("suspended", None, None), "p5"
    Stream.objects.filter(owner=agreement.channel).update(state=Stream.State.BROKEN, problem="a reason")
    world.resume(agreement)
    assert streams_of(world.institution("harbour"))[0].last_error == "a reason"
    run_batch(world.stream(agreement, "harbour").pk)
    assert streams_of(world.institution("harbour"))[0].state == "in_step"


def _age(world: World) -> None:
    world.execute("UPDATE harbour.mirror_log SET at = at - interval '90 s'")


def test_p2_of_what_the_owner_changes_for_others_the_receiver_does_not_even_learn_when(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    world.mandate(world.agree("borealis", "harbour"))
    world.mandate(None)
    _age(world)
    outgoing = streams_of(world.institution("harbour"), agreement)[0]
    assert outgoing.state == "behind", "its own log is the owner's to read"
    theirs = streams_of(world.institution("aurora"), agreement)[1]
    assert (theirs.state, theirs.words) == ("in_step", "In step")
    assert (theirs.oldest_age, theirs.pending, theirs.last_tick_at) == (None, None, None)

    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).update(name="Changed")
    world.execute(
        "UPDATE harbour.mirror_log SET at = now() - interval '9 s' WHERE at > now() - interval '30 s'"
    )
    theirs = streams_of(world.institution("aurora"), agreement)[1]
    assert theirs.state == "behind"
    assert theirs.oldest_age is not None
    assert theirs.oldest_age.total_seconds() < 60, "that of the change that concerns it"


def test_p2_a_shared_row_that_was_deleted_waits_for_the_receiver_too(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("harbour"):
        ContactDetail.objects.filter(client=mandate.client_id).delete()
    _age(world)
    assert streams_of(world.institution("aurora"), agreement)[1].state == "behind"


def test_a_third_party_sees_no_stream(world: World) -> None:
    world.agree()
    assert streams_of(world.institution("lakeside")) == []
