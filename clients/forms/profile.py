"""Step two: the risk questionnaire."""

from typing import Any

from django import forms
from django.utils.translation import gettext as __

from clients.calculations.risk import QUESTIONNAIRE, Questionnaire, Section
from clients.forms.base import DomainForm


class QuestionnaireForm(DomainForm):
    """The questions of the current questionnaire, each with its possible answers."""

    def __init__(self, *args: Any, questionnaire: Questionnaire = QUESTIONNAIRE, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.questionnaire = questionnaire
        for question in questionnaire.questions:
            self.fields[question.key] = forms.ChoiceField(
                label=__(question.text),
                choices=[(answer.value, __(answer.text)) for answer in question.answers],
                widget=forms.RadioSelect,
                error_messages={"required": __("Choose an answer.")},
            )

    def sections(self) -> list[tuple[Section, list[Any]]]:
        """Return the bound fields by the part of the profile that they decide on."""
        found: dict[Section, list[Any]] = {}
        for question in self.questionnaire.questions:
            found.setdefault(question.section, []).append(self[question.key])
        return list(found.items())

    def answers(self) -> dict[str, str]:
        """Return the answers by question."""
        return {question.key: self.cleaned_data[question.key] for question in self.questionnaire.questions}
