"""What people enter about clients, mandates and instructions."""

from clients.forms.base import ConflictAware, DomainForm
from clients.forms.instructions import InstructionForm, OutcomeForm
from clients.forms.mandates import (
    AnswerForm,
    DecisionForm,
    PlanForm,
    RestrictionForm,
    SubmitForm,
    WithdrawForm,
)
from clients.forms.profile import QuestionnaireForm
from clients.forms.records import KycForm, NoteForm, PayoutAccountForm, ReviewForm, TaskForm
from clients.forms.who import PartyFormSet, WhoForm

__all__ = [
    "AnswerForm",
    "ConflictAware",
    "DecisionForm",
    "DomainForm",
    "InstructionForm",
    "KycForm",
    "NoteForm",
    "OutcomeForm",
    "PartyFormSet",
    "PayoutAccountForm",
    "PlanForm",
    "QuestionnaireForm",
    "RestrictionForm",
    "ReviewForm",
    "SubmitForm",
    "TaskForm",
    "WhoForm",
    "WithdrawForm",
]
