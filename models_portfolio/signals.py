"""What other layers may answer.

``followers_wanted``: ``model``; each receiver returns a list of ``Follower`` for the institutions
that the model is offered to, or an empty list.
"""

from dataclasses import dataclass

from django.dispatch import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """An institution that a model is offered to, and where its agreement is shown.

    ``is_live`` says whether what is published arrives there at once.
    """

    name: str
    state: str
    label: str
    url: str
    is_live: bool


followers_wanted = Signal()
