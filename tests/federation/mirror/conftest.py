"""What tests of mirrors share."""

import pytest

from tests.federation.mirror.shop import Shop
from tests.federation.mirror.world import World


@pytest.fixture
def split(world: World) -> Shop:
    """The manager manages and trades, the channel settles."""
    return Shop(world, settlement="channel")
