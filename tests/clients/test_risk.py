"""A profile is never better than its weakest part, and an offer says why it does not suit."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.calculations.risk import (
    QUESTIONNAIRE,
    IncompleteAnswersError,
    Section,
    assess_risk,
)
from clients.calculations.suitability import (
    ClientFacts,
    OfferFacts,
    TargetMarket,
    UnsuitableCode,
    unsuitable_reasons,
)


def answers(choose: Any = max, **changed: str) -> dict[str, str]:
    """Choose the answer with the most (or fewest) points to every question."""
    chosen = {q.key: choose(q.answers, key=lambda a: a.points).value for q in QUESTIONNAIRE.questions}
    return chosen | changed


def test_the_boldest_answers_reach_the_highest_level() -> None:
    profile = assess_risk(answers(max, sustainability="promotes"))
    assert (profile.level, profile.capacity, profile.tolerance, profile.knowledge) == (7, 7, 7, 7)
    assert profile.horizon_years == 12
    assert profile.sustainability == "promotes"
    assert profile.version == QUESTIONNAIRE.version


def test_the_most_careful_answers_reach_the_lowest_level() -> None:
    profile = assess_risk(answers(min))
    assert (profile.level, profile.capacity, profile.tolerance, profile.knowledge) == (1, 1, 1, 1)


def test_the_lower_of_capacity_and_tolerance_rules() -> None:
    bold = assess_risk(
        answers(max, capacity_share="over_75", capacity_reserve="under_3m", capacity_loss="10")
    )
    assert (bold.capacity, bold.tolerance, bold.level) == (1, 7, 1)
    careful = assess_risk(answers(max, tolerance_goal="balance", tolerance_fall="wait"))
    assert (careful.capacity, careful.tolerance, careful.level) == (7, 4, 4)


def test_knowledge_horizon_and_sustainability_do_not_change_the_level() -> None:
    profile = assess_risk(
        answers(
            max, knowledge_products="none", knowledge_experience="never", horizon="1", sustainability="none"
        )
    )
    assert profile.level == 7
    assert (profile.knowledge, profile.horizon_years) == (1, 1)


def test_who_can_bear_no_loss_is_at_the_lowest_level() -> None:
    assert assess_risk(answers(max, capacity_loss="none")).level == 1


def test_levels_are_rounded_down() -> None:
    profile = assess_risk(answers(max, tolerance_goal="growth"))
    assert profile.tolerance == 6


def test_answers_left_out_or_not_offered_are_named() -> None:
    given_answers = answers(horizon="99")
    del given_answers["tolerance_goal"]
    with pytest.raises(IncompleteAnswersError) as caught:
        assess_risk(given_answers)
    assert caught.value.missing == ("tolerance_goal",)
    assert caught.value.invalid == ("horizon",)


@given(st.data())
def test_a_bolder_answer_never_lowers_the_level(data: st.DataObject) -> None:
    chosen = {q.key: data.draw(st.sampled_from(q.answers)) for q in QUESTIONNAIRE.questions}
    before = assess_risk({key: answer.value for key, answer in chosen.items()})
    question = data.draw(st.sampled_from(QUESTIONNAIRE.questions))
    bolder = max(question.answers, key=lambda a: a.points)
    after = assess_risk({key: a.value for key, a in (chosen | {question.key: bolder}).items()})
    assert 1 <= before.level <= after.level <= 7
    assert before.level == min(before.capacity, before.tolerance)
    if question.section not in (Section.CAPACITY, Section.TOLERANCE):
        assert before.level == after.level


CLIENT = ClientFacts(
    amount=D(100000), currency="EUR", level=4, knowledge=4, horizon_years=8, kind="person", country="DE"
)
OFFER = OfferFacts(risk_level=4, currency="EUR", minimum_amount=D(50000), horizon_years=5)


def codes(client: ClientFacts, offer: OfferFacts = OFFER) -> list[str]:
    return [reason.code.value for reason in unsuitable_reasons(client, offer)]


def test_an_offer_that_suits_has_nothing_against_it() -> None:
    assert codes(CLIENT) == []


@pytest.mark.parametrize(
    ("client", "offer", "code"),
    [
        ({"level": None}, {}, "no_profile"),
        ({"is_profile_valid": False}, {}, "profile_expired"),
        ({"level": 3}, {}, "risk_too_high"),
        ({"amount": D(49999)}, {}, "amount_below_minimum"),
        ({"currency": "USD"}, {}, "amount_not_comparable"),
        ({"currency": "USD", "amount_in_offer_currency": D(1)}, {}, "amount_below_minimum"),
        ({"horizon_years": 3}, {}, "horizon_too_short"),
        ({}, {"is_open": False}, "not_open"),
        ({"knowledge": 1}, {"target_market": TargetMarket(minimum_knowledge=3)}, "knowledge_too_low"),
        ({"sustainability": "promotes"}, {}, "not_sustainable_enough"),
        ({}, {"target_market": TargetMarket(client_kinds=frozenset({"company"}))}, "client_kind_not_served"),
        ({}, {"target_market": TargetMarket(countries=frozenset({"AT"}))}, "country_not_served"),
    ],
)
def test_each_thing_that_does_not_suit_is_named(
    client: dict[str, Any], offer: dict[str, Any], code: str
) -> None:
    assert codes(replace(CLIENT, **client), replace(OFFER, **offer)) == [code]


def test_every_reason_is_tested_and_reads_as_a_sentence() -> None:
    tried = set(UnsuitableCode)
    client = replace(CLIENT, level=1, horizon_years=1, knowledge=1, sustainability="promotes", amount=D(1))
    market = TargetMarket(
        client_kinds=frozenset({"company"}), countries=frozenset({"AT"}), minimum_knowledge=2
    )
    offer = replace(OFFER, is_open=False, target_market=market)
    reasons = unsuitable_reasons(replace(client, is_profile_valid=False), offer)
    missing = tried - {reason.code for reason in reasons}
    assert missing == {UnsuitableCode.NO_PROFILE, UnsuitableCode.AMOUNT_NOT_COMPARABLE}
    for reason in reasons:
        assert reason.message.endswith(".")
        assert "{" not in reason.message


def test_the_sentence_names_both_levels() -> None:
    reason = unsuitable_reasons(replace(CLIENT, level=2), OFFER)[0]
    assert reason.message == "Its risk is 4 of 7, the profile allows 2."
    assert reason.can_override


def test_an_amount_in_another_currency_is_compared_once_it_is_known() -> None:
    client = replace(CLIENT, currency="USD", amount_in_offer_currency=D(60000))
    assert codes(client) == []
    assert codes(replace(CLIENT, amount=None)) == []


def test_the_target_market_is_read_from_data() -> None:
    market = TargetMarket.from_data({"client_kinds": ["person"], "minimum_knowledge": 2})
    assert market == TargetMarket(client_kinds=frozenset({"person"}), minimum_knowledge=2)
    assert TargetMarket.from_data({}) == TargetMarket()


@pytest.mark.parametrize(
    "data", [{"client_kinds": "person"}, {"minimum_knowledge": "2"}, {"sustainability": "very"}]
)
def test_a_target_market_of_the_wrong_kind_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        TargetMarket.from_data(data)
