"""What the disclosure log says a partner still keeps."""

import csv
import datetime

from django.db.models.signals import post_init
from django.test import Client as Browser
from django.utils import timezone

from clients.models import Mandate
from clients.services import withdraw_mandate
from federation.agreements import sealing
from federation.disclosure_log import log_of
from federation.models import SealedErasure
from federation.sealed import sealed_mandates
from federation.wording import kept_words
from tests import factories
from tests.federation.mirror.sealing import cut, erase, sealed_at
from tests.federation.mirror.world import World


def kept_of(world: World, mandates: dict[str, Mandate], schema: str = "harbour") -> dict[str, list[str]]:
    """Return the pages', and check the exports', words about what the partner keeps of each mandate."""
    with world.within(schema):
        browser = Browser(headers={"host": f"{schema}.localhost"})
        reader = factories.cast().compliance
        # Days are told apart in the zone of whoever reads; the words below are asked for in UTC.
        reader.time_zone = "UTC"
        reader.save()
        browser.force_login(reader)
        log = {row.mandate: row for row in log_of(world.institution(schema))}
        table = browser.get("/disclosures/").context["table"]
        cells = {row.record.mandate: row.get_cell("until") for row in table.rows}
        lines = browser.get("/disclosures/?_export=csv").content.decode("utf-8-sig").splitlines()
        rows = {row["Mandate"]: row for row in csv.DictReader(lines)}
        found = {}
        for name, mandate in mandates.items():
            words = kept_words(log[mandate.pk])
            page = browser.get(f"/clients/{log[mandate.pk].client}/disclosures/").content.decode()
            assert words in cells[mandate.pk]
            assert words in page
            for said in ("kept there", "erased there"):
                assert (said in cells[mandate.pk]) == (said in page) == (said in words)
            row = rows[mandate.number]
            assert bool(row["Kept there"]) == ("kept there" in words)
            found[name] = [row["Kept there until"], row["On hold there"], row["Erased there on"]]
    return found


def test_the_disclosure_log_says_what_is_kept_of_each_mandate(world: World) -> None:
    agreement = world.agree()
    agreement.versions.update(in_force_from=timezone.now() - datetime.timedelta(days=1))
    mandates = {name: world.mandate(agreement) for name in ("withdrawn", "open", "rejected", "kept", "held")}
    world.drain()
    world.decide(mandates["rejected"], "rejected")
    for name in ("kept", "held"):
        world.decide(mandates[name], "accepted")
        world.portfolio(mandates[name])
    world.drain()
    with world.within("harbour"):
        withdrawn = Mandate.objects.get(pk=mandates["withdrawn"].pk)
        withdraw_mandate(mandate=withdrawn, by=factories.cast().advisor)
    world.drain()
    nothing = {name: ["", "", ""] for name in mandates}
    assert kept_of(world, mandates) == nothing
    agreement = cut(world, agreement)
    kept, aurora = sealed_at(agreement, "aurora"), world.institution("aurora")
    due = kept.retain_until
    both = {name: [due.isoformat(), "no", ""] for name in ("kept", "held")}
    assert kept_of(world, mandates) == nothing | both
    later = due + datetime.timedelta(days=100)
    with world.within("aurora"):
        by, held = factories.cast().compliance, Mandate.objects.get(pk=mandates["held"].pk)
        hold = sealing.place_hold(kept, by=by, institution=aurora, reason="Court.", mandate=held, until=later)
    assert kept_of(world, mandates) == nothing | both | {"held": [later.isoformat(), "yes", ""]}
    with world.within("aurora"):
        sealing.lift_hold(hold, by=by, institution=aurora, reason="Over.")
        sealing.place_hold(kept, by=by, institution=aurora, reason="Court.", mandate=held)
    assert kept_of(world, mandates) == nothing | both | {"held": ["", "yes", ""]}
    erase()
    erased = ["", "", timezone.localdate().isoformat()]
    loaded: list[SealedErasure] = []
    post_init.connect(note := lambda instance, **_: loaded.append(instance), sender=SealedErasure)
    with world.within("harbour"):
        log_of(world.institution("harbour"), Mandate.objects.filter(pk=mandates["held"].pk))
        assert loaded == [], "what was erased of others is not read"
    post_init.disconnect(note, sender=SealedErasure)
    assert kept_of(world, mandates) == nothing | {"kept": erased, "held": ["", "yes", ""]}
    with world.within("aurora"):
        assert [each.pk for each in sealed_mandates(aurora)] == [held.pk]
    with world.within("aurora"):
        sealing.lift_hold(kept.holds.latest("placed_at"), by=by, institution=aurora, reason="Over.")
    first = kept.erasures.get(mandate=mandates["kept"].pk).at
    erase()
    assert kept_of(world, mandates) == nothing | {"kept": erased, "held": erased}
    assert kept.erasures.get(mandate=mandates["kept"].pk).at == first, "it is not erased twice"
