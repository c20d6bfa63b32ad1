"""F18: an institution's schema comes back from an old dump, while the partner's has moved on."""

import os
import subprocess
from urllib.parse import urlsplit, urlunsplit

from django.db import connections

from clients.models import Client, Mandate
from config.embedded.postgres import binaries
from federation.mirror import capture
from federation.models import ParkedRow, Stream
from portfolios.models import Portfolio, Transaction
from tests import servers
from tests.federation.mirror.world import World


def _url(world: World) -> str:
    return urlunsplit(urlsplit(os.environ[servers.SERVER_URL])._replace(path=f"/{world.database}"))


def test_f18_a_schema_restored_from_an_old_dump_is_compared_and_put_right(world: World) -> None:
    agreement = world.agree()
    old = world.mandate(agreement)
    world.drain()
    portfolio = world.portfolio(old, transactions=3)
    world.drain()
    dump = subprocess.run(
        [binaries() / "pg_dump", "-n", "harbour", _url(world)], check=True, capture_output=True
    ).stdout
    # All of this will not have happened at Harbour, and half of it has not reached it either.
    new = world.mandate(agreement)
    with world.within("harbour"):
        Client.objects.filter(pk=old.client_id).update(name="Renamed since")
    world.drain()
    world.portfolio(new, transactions=2)
    world.transactions(portfolio, 4)
    world.drain()
    world.transactions(portfolio, 5)
    connections.close_all()
    world.execute("DROP SCHEMA harbour CASCADE")
    subprocess.run(
        [binaries() / "psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", _url(world)],
        input=dump,
        check=True,
        capture_output=True,
    )
    assert capture.differences("harbour") == []
    world.drain()
    with world.within("aurora"):
        assert Client.objects.get(pk=old.client_id).name == "Ann Example"
        # Aurora's own portfolio names it still: it stays for history alone.
        assert Mandate.objects.get(pk=new.pk).retired_at is not None
    assert world.count("harbour", Transaction) == 12
    assert world.count("harbour", Portfolio) == 1
    # What Aurora holds under the mandate that Harbour has lost is nothing to Harbour.
    world.assert_in_step(agreement)
    assert not ParkedRow.objects.exists()
    assert world.orphans("harbour") == world.orphans("aurora") == []
    world.transactions(portfolio, 1)
    world.drain()
    assert world.count("harbour", Transaction) == 13
    assert not Stream.objects.filter(state=Stream.State.BROKEN).exists()
