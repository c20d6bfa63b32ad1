"""Changes to clients, mandates and instructions: the one way in for pages, API and other layers."""

from clients.services.bookings import (
    answer_booking,
    booked_for,
    close_short,
    record_booking,
    reopen_booking,
)
from clients.services.decisions import (
    accept_mandate,
    activate_mandate,
    begin_closing,
    close_mandate,
    reject_mandate,
    return_mandate,
)
from clients.services.guards import refuse_unheard
from clients.services.instructions import (
    NewPlan,
    draft_instruction,
    record_outcome,
    send_instruction,
    withdraw_instruction,
)
from clients.services.known import Known, note_known, who_may_be
from clients.services.mandates import (
    Choice,
    add_restriction,
    choose_plan,
    plan_mandate,
    remove_restriction,
    start_mandate,
    submit_mandate,
    withdraw_mandate,
)
from clients.services.people import (
    PartyData,
    block_kyc,
    change_client,
    create_client,
    enter_payout_account,
    finish_task,
    plan_review,
    promise_task,
    record_kyc,
    verify_payout_account,
    write_note,
)
from clients.services.profiles import record_questionnaire

__all__ = [
    "Choice",
    "Known",
    "NewPlan",
    "PartyData",
    "accept_mandate",
    "activate_mandate",
    "add_restriction",
    "answer_booking",
    "begin_closing",
    "block_kyc",
    "booked_for",
    "change_client",
    "choose_plan",
    "close_mandate",
    "close_short",
    "create_client",
    "draft_instruction",
    "enter_payout_account",
    "finish_task",
    "note_known",
    "plan_mandate",
    "plan_review",
    "promise_task",
    "record_booking",
    "record_kyc",
    "record_outcome",
    "record_questionnaire",
    "refuse_unheard",
    "reject_mandate",
    "remove_restriction",
    "reopen_booking",
    "return_mandate",
    "send_instruction",
    "start_mandate",
    "submit_mandate",
    "verify_payout_account",
    "who_may_be",
    "withdraw_instruction",
    "withdraw_mandate",
    "write_note",
]
