"""One search over everything: each app registers a finder for its own records.

In ``AppConfig.ready``::

    from accounts.search import register
    register(find_portfolios)

A finder takes the user and the words and yields results that are ``visible_to(user)``, the best first.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from accounts.models import User

SHORTEST = 2
PER_KIND = 8


@dataclass(frozen=True)
class Result:
    """One thing found. ``kind`` is its heading ("Portfolios"); results of a kind stand together."""

    label: str
    sublabel: str
    url: str
    kind: Any
    icon: str = "circle"


@dataclass(frozen=True)
class Group:
    """The results of one kind."""

    kind: str
    results: list[Result]
    has_more: bool


Finder = Callable[[User, str], Iterable[Result]]
_finders: list[Finder] = []


def register(finder: Finder) -> Finder:
    """Add a finder; adding it again changes nothing."""
    if finder not in _finders:
        _finders.append(finder)
    return finder


def search(user: User, query: str) -> list[Group]:
    """Return what ``user`` may see of ``query``, grouped by kind; nothing for less than two characters."""
    # PostgreSQL's texts cannot hold a NUL, so nothing is found by one.
    words = " ".join(query.replace("\x00", " ").split())
    if len(words) < SHORTEST:
        return []
    groups: dict[str, list[Result]] = {}
    for finder in _finders:
        for result in _first(finder(user, words)):
            groups.setdefault(str(result.kind), []).append(result)
    return [Group(kind, found[:PER_KIND], len(found) > PER_KIND) for kind, found in groups.items()]


def _first(results: Iterable[Result]) -> Iterator[Result]:
    # A finder may yield several kinds; no more than this is ever read of one.
    return islice(results, PER_KIND * 4)
