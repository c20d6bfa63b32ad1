"""What other layers may answer.

``followers_wanted``: ``model``; each receiver returns a list of ``Follower`` for the institutions
that the model is offered to, or an empty list.
"""

from dataclasses import dataclass

from django.dispatch import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """An institution that a model is offered to, and where its agreement is shown."""

    name: str
    state: str
    label: str
    url: str


followers_wanted = Signal()
