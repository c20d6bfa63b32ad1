"""An instruction that closes a portfolio: what it books is shown before anything is booked."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from clients.models import ClientInstruction, InstructionOutcome, MandateDecision
from portfolios.models import Portfolio, Transaction
from portfolios.services import book
from tests.factories import Cast
from tests.portfolios import make


def asked(portfolio: Portfolio, kind: str) -> ClientInstruction:
    now = timezone.now()
    assert portfolio.mandate is not None
    MandateDecision.objects.create(mandate=portfolio.mandate, submission=1, outcome="active", decided_at=now)
    return ClientInstruction.objects.create(mandate=portfolio.mandate, kind=kind, status="sent", sent_at=now)


def text_of(answer: HttpResponse) -> str:
    return answer.content.decode()


def test_a_portfolio_is_transferred_out_and_closed_just_as_the_page_showed_it(
    filled: Portfolio, in_aurora: Cast, as_manager: Any, aurora: Any, browse: Any
) -> None:
    instruction = asked(filled, "transfer_out")
    detail = reverse("clients:instruction_detail", args=[instruction.pk])
    finish = reverse("portfolios:instruction_finish", args=[instruction.pk])
    page = text_of(as_manager.get(detail))
    assert finish in page
    assert 'value="done"' not in page
    done = as_manager.post(reverse("clients:instruction_answer", args=[instruction.pk]), {"outcome": "done"})
    assert done["Location"] == finish
    assert browse(aurora, in_aurora.advisor).get(finish).status_code == 404

    shown = as_manager.post(finish, {"note": "To depot 0815."})
    assert "Transfer out 2 positions and close" in text_of(shown)
    assert "To depot 0815." in text_of(shown)
    assert "Microsoft" in text_of(shown)
    assert not Transaction.objects.filter(type="transfer_out").exists()

    book(entries=[make.fee(filled, 5, 4)], by=None)
    sent = {"note": "To depot 0815.", "seen": shown.context["ending"].seen}
    shown = as_manager.post(finish, sent)
    assert "has changed since this page was shown" in text_of(shown)
    assert not InstructionOutcome.objects.exists()

    assert as_manager.post(finish, {**sent, "seen": shown.context["ending"].seen})["Location"] == detail
    filled.refresh_from_db()
    assert filled.closed_on is not None
    assert filled.mandate is not None
    assert filled.mandate.state == "closed"
    assert InstructionOutcome.objects.get().note == "To depot 0815."
    assert Transaction.objects.filter(type="transfer_out", security__isnull=False).count() == 2
    assert as_manager.get(finish)["Location"] == detail


def test_what_is_to_be_closed_and_holds_something_says_what_to_do(filled: Portfolio, as_manager: Any) -> None:
    instruction = asked(filled, "close")
    finish = reverse("portfolios:instruction_finish", args=[instruction.pk])
    page = text_of(as_manager.get(finish))
    assert "Sell it and pay out the cash first" in page
    assert 'name="seen"' not in page
