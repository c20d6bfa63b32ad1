"""One search over everything that a person may see."""

import pytest

from accounts import search as searching
from accounts.search import Result, register, search


@pytest.fixture
def finders(monkeypatch):
    """Start without the finders of the apps."""
    found: list[object] = []
    monkeypatch.setattr(searching, "_finders", found)
    return found


def results(kind: str, count: int):
    def find(user, words):
        for number in range(count):
            yield Result(f"{words} {number}", "", f"/{kind}/{number}/", kind)

    return find


def test_results_stand_together_by_kind(in_aurora, finders):
    register(results("Clients", 2))
    register(results("Portfolios", 1))
    groups = search(in_aurora.manager, "nora")
    assert [(group.kind, len(group.results), group.has_more) for group in groups] == [
        ("Clients", 2, False),
        ("Portfolios", 1, False),
    ]


def test_many_results_are_cut_and_say_so(in_aurora, finders):
    register(results("Clients", 1000))
    (group,) = search(in_aurora.manager, "nora")
    assert len(group.results) == 8
    assert group.has_more


@pytest.mark.parametrize("query", ["", "n", "   ", " n "])
def test_less_than_two_characters_ask_nobody(in_aurora, finders, query):
    def refuse(user, words):
        raise AssertionError

    register(refuse)
    assert search(in_aurora.manager, query) == []


def test_a_finder_is_asked_once_though_registered_twice(in_aurora, finders):
    find = results("Clients", 1)
    register(find)
    register(find)
    assert len(finders) == 1


def test_people_are_found_by_those_who_may_see_them(aurora, in_aurora, browse):
    for user, sees in (
        (in_aurora.administrator, True),
        (in_aurora.compliance, True),
        (in_aurora.manager, False),
    ):
        page = browse(aurora, user).get("/search/", {"q": "strang"})
        # In the field that the results follow, and in no other.
        assert page.content.decode().count('value="strang"') == 1
        assert ("stranger@example.test" in page.content.decode()) is sees


def test_the_page_says_what_to_do_when_there_is_nothing(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.administrator)
    assert "at least two characters" in page.get("/search/").content.decode()
    assert "Nothing found" in page.get("/search/", {"q": "zzzzzz"}).content.decode()


def test_results_come_as_a_part_while_typing(aurora, in_aurora, browse):
    answer = browse(aurora, in_aurora.administrator).get(
        "/search/", {"q": "strang"}, headers={"HX-Request": "true", "HX-Target": "results"}
    )
    assert b"<html" not in answer.content
    assert b"stranger@example.test" in answer.content


def test_what_was_typed_is_shown_as_text(aurora, in_aurora, browse):
    answer = browse(aurora, in_aurora.administrator).get("/search/", {"q": "<script>alert(1)</script>"})
    assert b"<script>alert(1)" not in answer.content
