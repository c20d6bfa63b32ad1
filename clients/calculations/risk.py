"""Draw a risk profile from the answers to a questionnaire.

The parts follow ESMA's guidelines on suitability (2022): knowledge and experience, the ability
to bear losses, objectives and risk tolerance, and the sustainability preference are kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

LOWEST_LEVEL = 1
HIGHEST_LEVEL = 7


class Section(StrEnum):
    """The parts of the questionnaire that a profile is drawn from (ESMA guidelines on suitability, 2022)."""

    KNOWLEDGE = "knowledge"
    CAPACITY = "capacity"
    TOLERANCE = "tolerance"
    HORIZON = "horizon"
    SUSTAINABILITY = "sustainability"


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold a possible answer: points from 0 to 4, or years in the section on the horizon."""

    value: str
    text: str
    points: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """Hold a question and its possible answers."""

    key: str
    section: Section
    text: str
    answers: tuple[Answer, ...]

    def answer(self, value: str) -> Answer | None:
        """Return the answer with this value, or None."""
        return next((answer for answer in self.answers if answer.value == value), None)


@dataclass(frozen=True, slots=True)
class Questionnaire:
    """Hold a version of the questionnaire; the version is kept with the answers."""

    version: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskAssessment:
    """Hold the parts of a profile on a scale of 1 to 7, and the level that rules."""

    version: str
    level: int
    knowledge: int
    capacity: int
    tolerance: int
    horizon_years: int
    sustainability: str


class IncompleteAnswersError(ValueError):
    """Name the questions without an answer, and those with one that is not offered."""

    def __init__(self, missing: tuple[str, ...], invalid: tuple[str, ...]) -> None:
        super().__init__(f"Questions left to answer: {', '.join([*missing, *invalid])}.")
        self.missing = missing
        self.invalid = invalid


QUESTIONNAIRE = Questionnaire(
    version="2026.1",
    questions=(
        Question(
            "knowledge_products",
            Section.KNOWLEDGE,
            "Which of these investments do you understand?",
            (
                Answer("none", "None of them", 0),
                Answer("savings", "Savings accounts and time deposits", 1),
                Answer("funds", "Investment funds and bonds too", 2),
                Answer("shares", "Shares too", 3),
                Answer("complex", "Options, certificates and the like too", 4),
            ),
        ),
        Question(
            "knowledge_experience",
            Section.KNOWLEDGE,
            "For how long have you held investments of your own?",
            (
                Answer("never", "Never", 0),
                Answer("under_2", "Less than two years", 1),
                Answer("2_to_5", "Two to five years", 2),
                Answer("5_to_10", "Five to ten years", 3),
                Answer("over_10", "More than ten years", 4),
            ),
        ),
        Question(
            "capacity_share",
            Section.CAPACITY,
            "How much of what you own will be invested here?",
            (
                Answer("over_75", "More than three quarters", 0),
                Answer("50_to_75", "Half to three quarters", 1),
                Answer("25_to_50", "A quarter to half", 2),
                Answer("10_to_25", "A tenth to a quarter", 3),
                Answer("under_10", "Less than a tenth", 4),
            ),
        ),
        Question(
            "capacity_reserve",
            Section.CAPACITY,
            "For how long could you live without this money and without new income?",
            (
                Answer("under_3m", "Less than three months", 0),
                Answer("3_to_6m", "Three to six months", 1),
                Answer("6_to_12m", "Six to twelve months", 2),
                Answer("1_to_3y", "One to three years", 3),
                Answer("over_3y", "More than three years", 4),
            ),
        ),
        Question(
            "capacity_loss",
            Section.CAPACITY,
            "What loss could you bear without changing how you live?",
            (
                Answer("none", "None", 0),
                Answer("10", "A tenth", 1),
                Answer("25", "A quarter", 2),
                Answer("50", "Half", 3),
                Answer("all", "All of it", 4),
            ),
        ),
        Question(
            "tolerance_goal",
            Section.TOLERANCE,
            "What matters most to you?",
            (
                Answer("keep", "Keep what I have", 0),
                Answer("income", "A steady income", 1),
                Answer("balance", "Income and growth alike", 2),
                Answer("growth", "Growth, with ups and downs", 3),
                Answer("maximum", "The highest growth, with large ups and downs", 4),
            ),
        ),
        Question(
            "tolerance_fall",
            Section.TOLERANCE,
            "Your investments lose a fifth within three months. What do you do?",
            (
                Answer("sell_all", "Sell everything", 0),
                Answer("sell_some", "Sell a part", 1),
                Answer("wait", "Wait", 2),
                Answer("nothing", "Nothing, that is part of it", 3),
                Answer("buy", "Buy more", 4),
            ),
        ),
        Question(
            "horizon",
            Section.HORIZON,
            "When will you need the money?",
            (
                Answer("1", "Within two years", 1),
                Answer("3", "In two to five years", 3),
                Answer("5", "In five to eight years", 5),
                Answer("8", "In eight to twelve years", 8),
                Answer("12", "Later than that", 12),
            ),
        ),
        Question(
            "sustainability",
            Section.SUSTAINABILITY,
            "Shall your investments be sustainable?",
            (
                Answer("none", "No preference"),
                Answer("considers", "They shall consider harm to people and nature"),
                Answer("promotes", "They shall promote social or environmental aims"),
                Answer("sustainable", "They shall be sustainable investments"),
            ),
        ),
    ),
)


def assess_risk(
    answers: Mapping[str, str], *, questionnaire: Questionnaire = QUESTIONNAIRE
) -> RiskAssessment:
    """Return the profile that the answers (question key → answer value) lead to.

    Each part is the mean of its points, spread over the levels 1 to 7 and rounded down. The
    level is the lower of the ability to bear losses and the tolerance; no answer can lift one by
    the other. An ability to bear no loss at all is level 1 whatever else is said. Raises
    IncompleteAnswersError.
    """
    chosen: dict[str, Answer] = {}
    missing: list[str] = []
    invalid: list[str] = []
    for question in questionnaire.questions:
        value = answers.get(question.key, "")
        answer = question.answer(value)
        if answer is not None:
            chosen[question.key] = answer
        elif value:
            invalid.append(question.key)
        else:
            missing.append(question.key)
    if missing or invalid:
        raise IncompleteAnswersError(tuple(missing), tuple(invalid))
    capacity = _level(questionnaire, chosen, Section.CAPACITY)
    if any(key == "capacity_loss" and not answer.points for key, answer in chosen.items()):
        capacity = LOWEST_LEVEL
    tolerance = _level(questionnaire, chosen, Section.TOLERANCE)
    return RiskAssessment(
        version=questionnaire.version,
        level=min(capacity, tolerance),
        knowledge=_level(questionnaire, chosen, Section.KNOWLEDGE),
        capacity=capacity,
        tolerance=tolerance,
        horizon_years=min((a.points for a in _answers(questionnaire, chosen, Section.HORIZON)), default=0),
        sustainability=next((a.value for a in _answers(questionnaire, chosen, Section.SUSTAINABILITY)), ""),
    )


def _answers(questionnaire: Questionnaire, chosen: Mapping[str, Answer], section: Section) -> list[Answer]:
    return [chosen[q.key] for q in questionnaire.questions if q.section is section]


def _level(questionnaire: Questionnaire, chosen: Mapping[str, Answer], section: Section) -> int:
    """Spread the mean of a section's points over the levels, rounded down to be careful."""
    reached = possible = 0
    for question in questionnaire.questions:
        if question.section is section:
            reached += chosen[question.key].points
            possible += max(answer.points for answer in question.answers)
    if not possible:
        return LOWEST_LEVEL
    steps = Decimal(HIGHEST_LEVEL - LOWEST_LEVEL) * reached / possible
    return LOWEST_LEVEL + int(steps.to_integral_value(rounding=ROUND_FLOOR))
