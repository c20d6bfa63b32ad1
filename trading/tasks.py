"""Background work of trading: proposals for many, the paper broker, settlement."""

import datetime
import uuid
from decimal import ROUND_DOWN, Decimal

from celery import shared_task
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts.jobs import Failure
from accounts.models import Job, User
from models_portfolio.effective import today
from portfolios.models import Portfolio
from trading.models import Block, Execution
from trading.services.booking import book_unbooked
from trading.services.fills import OPEN_BLOCK, acknowledge, record_execution, refuse
from trading.services.inputs import load_market
from trading.services.orders import release_waiting
from trading.services.proposing import Outcome, propose_each
from trading.services.settlements import close_settled, settle_due

PORTFOLIOS_AT_ONCE = 50
_FORGOTTEN_AFTER = datetime.timedelta(minutes=2)


@shared_task
def propose_for_job(job_id: str) -> None:
    """Work out proposals for the portfolios of a job, some at a time, and say how far it is.

    Run again after an interruption, it goes on where it stopped.
    """
    job = Job.objects.select_related("created_by").get(pk=job_id)
    if job.state in (Job.State.DONE, Job.State.FAILED) or job.created_by is None:
        return
    Job.objects.filter(pk=job.pk).update(state=Job.State.RUNNING)
    ids = [uuid.UUID(pk) for pk in job.data["portfolios"]]
    with override(job.created_by.locale):
        for start in range(job.done, len(ids), PORTFOLIOS_AT_ONCE):
            batch = ids[start : start + PORTFOLIOS_AT_ONCE]
            _propose_batch(job, batch, job.created_by)
            job.done = start + len(batch)
            job.save(update_fields=["done", "failures", "data"])
    job.state, job.finished_at = Job.State.DONE, timezone.now()
    job.save(update_fields=["state", "finished_at"])


def _propose_batch(job: Job, ids: list[uuid.UUID], by: User) -> None:
    managed = Portfolio.objects.with_right(by, "proposal.make").filter(pk__in=ids)
    found = {each.pk: each for each in managed.select_related("mandate")}
    portfolios = [found[pk] for pk in ids if pk in found]
    outcomes = propose_each(
        portfolios=portfolios, by=by, mode=job.data["mode"], reason=job.data.get("reason", "")
    )
    note(job, outcomes)


def note(job: Job, outcomes: list[Outcome]) -> None:
    """Add to a job what became of some portfolios; nothing is saved."""
    for outcome in outcomes:
        if outcome.refusal:
            job.failures.append(
                Failure(
                    portfolio=str(outcome.portfolio.pk),
                    why=outcome.refusal,
                    remedy=_("Open the portfolio, put it right and propose again."),
                )
            )
        elif outcome.proposal is not None:
            job.data.setdefault("proposals", []).append(str(outcome.proposal.pk))
        else:
            job.data["unchanged"] = job.data.get("unchanged", 0) + 1


# The paper broker: a market that fills at the last price.


@shared_task
def submit_block(block_id: str) -> None:
    """Take a block to the paper market; its next fill follows shortly after."""
    if acknowledge(block_id=uuid.UUID(block_id)):
        part = Execution.objects.filter(block=uuid.UUID(block_id)).count() + 1
        fill_block.apply_async(args=[block_id, part], countdown=settings.PAPER_BROKER_DELAY)


@shared_task
def fill_block(block_id: str, part: int) -> None:
    """Fill one part of a block at the last price; the part after follows shortly after.

    Each part has its own reference, so a message that comes twice fills once.
    """
    block = Block.objects.select_related("security").get(pk=block_id)
    if block.state in OPEN_BLOCK:
        market = load_market([block.security_id], [block.currency], today())
        price = market.price(block.security_id)
        if price is None:
            refuse(block_id=block.pk, why=_("There is no price for %(name)s.") % {"name": block.security})
            return
        record_execution(
            block_id=block.pk,
            quantity=_part_of(block, part),
            price=price,
            reference=f"paper-{block.pk.hex}-{part}",
        )
        block.refresh_from_db()
    if block.state in OPEN_BLOCK:
        fill_block.apply_async(args=[block_id, part + 1], countdown=settings.PAPER_BROKER_DELAY)


def _part_of(block: Block, part: int) -> Decimal:
    """Return how much the next fill takes: an even part in whole lots, the last one all that is left."""
    left = block.quantity - block.filled_quantity
    if part >= block.fill_parts:
        return left
    lot = block.security.lot_size or Decimal(1).scaleb(-block.security.quantity_decimals)
    share = left / (block.fill_parts - part + 1)
    return min(max((share / lot).to_integral_value(rounding=ROUND_DOWN) * lot, lot), left)


@shared_task
def resume_blocks() -> None:
    """Submit again the blocks that a lost message left in the market without a next fill."""
    quiet_since = timezone.now() - _FORGOTTEN_AFTER
    forgotten = Block.objects.filter(state__in=OPEN_BLOCK, sent_at__lt=quiet_since).exclude(
        executions__executed_at__gte=quiet_since
    )
    for block_id in forgotten.values_list("pk", flat=True):
        submit_block.delay(str(block_id))


@shared_task
def settle_due_settlements() -> None:
    """Book what could not be, settle what is due today, and close the orders that a partner has settled."""
    book_unbooked()
    settle_due()
    close_settled()


@shared_task
def release_waiting_orders() -> None:
    """Let purchases go on whose client's KYC is in order again."""
    release_waiting()
