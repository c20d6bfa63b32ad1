"""The scope table: which records an agreement shares, by the function they belong to.

It reads like the table of the division of work. Whoever performs a function owns its records, and
they flow to the other side unless the agreement keeps the function private or withholds the kind or
field. What is not listed here never leaves. A new kind of shared record is a new entry and nothing else.

Roots are the mandates submitted under an agreement and the models offered under it; everything else
hangs off one of them.
"""

from federation.models.agreements import Function
from federation.scope.kinds import Kind, Private

# A mandate enters the scope when it is submitted with the client's authorisation to disclose, and
# leaves it when this submission is rejected. One that was withdrawn leaves it too, unless the partner had
# opened its portfolio: whoever winds that up has to know for whom, and that it was withdrawn. While new mandates are suspended, those that the partner
# has not answered yet and that came after {cut} stay at home.
SUBMITTED = """
    ({t}.status IN ('submitted', 'closing') OR {t}.status = 'withdrawn' AND EXISTS (
        SELECT 1 FROM {s}.clients_mandatedecision d
        WHERE d.mandate_id = {t}.id AND d.outcome IN ('active', 'closing', 'closed')
    ))
    AND {t}.submitted_at IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM {s}.clients_mandatedecision d
        WHERE d.mandate_id = {t}.id AND d.submission = {t}.submission AND d.outcome = 'rejected'
    )
    AND ({cut} IS NULL OR {t}.submitted_at <= {cut} OR EXISTS (
        SELECT 1 FROM {s}.clients_mandatedecision d WHERE d.mandate_id = {t}.id
    ))
"""

KINDS: tuple[Kind, ...] = (
    # Relationship: who the client is and what they ask for.
    Kind(
        "clients.Client",
        Function.RELATIONSHIP,
        through="clients.Mandate.client",
        shared="number kind status name first_name last_name birth_date country nationality national_id"
        " registration_number lei language currency advisor_name",
        kept="unit advisor next_review_date",
        personal="number name first_name last_name birth_date country nationality national_id"
        " registration_number lei advisor_name",
    ),
    Kind(
        "clients.Party",
        Function.RELATIONSHIP,
        via="client",
        shared="client role name birth_date country national_id",
        personal="name birth_date country national_id",
    ),
    Kind(
        "clients.ContactDetail",
        Function.RELATIONSHIP,
        via="client",
        shared="client kind value is_primary",
        personal="value",
    ),
    Kind(
        "clients.PayoutAccount",
        Function.RELATIONSHIP,
        via="client",
        shared="client iban holder entered_by_name verified_by_name verified_at",
        kept="entered_by verified_by",
        personal="iban holder",
    ),
    Kind(
        "clients.KycStatus",
        Function.RELATIONSHIP,
        via="client",
        shared="client state checked_on valid_until is_politically_exposed checked_by_name",
        personal="is_politically_exposed",
    ),
    Kind(
        "clients.RiskProfile",
        Function.RELATIONSHIP,
        via="client",
        shared="client number level knowledge capacity tolerance horizon_years sustainability valid_from valid_until",
        personal="sustainability",
    ),
    Kind(
        "clients.Mandate",
        Function.RELATIONSHIP,
        root="agreement",
        rows=SUBMITTED,
        shared="number client name agreement offer offer_name manager_name terms currency amount risk_profile"
        " override_reason status submission signed_on submitted_at disclosure_text disclosure_authorised_on answer history",
        kept="predecessor revision",
        personal="client name terms amount risk_profile override_reason answer history",
        is_announced=True,
    ),
    Kind(
        "clients.MandateRestriction",
        Function.RELATIONSHIP,
        via="mandate",
        shared="mandate kind value note",
        personal="value note",
    ),
    Kind(
        "clients.ClientInstruction",
        Function.RELATIONSHIP,
        via="mandate",
        rows="{t}.sent_at IS NOT NULL AND {t}.status IN ('sent', 'withdrawn')",
        shared="mandate kind status amount currency reference payout_account offer offer_name wanted_date note"
        " sent_at sent_by_name",
        personal="amount reference payout_account note",
        is_announced=True,
    ),
    Kind(
        "portfolios.Handover",
        Function.RELATIONSHIP,
        via="mandate",
        shared="mandate as_of currency performance_from time_weighted_return booked_out_on",
        kept="value",
    ),
    Kind(
        "portfolios.HandoverPosition",
        Function.RELATIONSHIP,
        via="handover",
        shared="handover isin security_name asset_class price_unit currency quantity acquired_on book_cost"
        " book_cost_portfolio price price_date price_source_name is_price_simulated",
        kept="value",
    ),
    Kind(
        "reporting.ReportRelease",
        Function.RELATIONSHIP,
        via="report",
        shared="report released_at released_by_name note",
        personal="note",
    ),
    # Models: what is offered and what it consists of.
    Kind(
        "models_portfolio.Offer",
        Function.MODELS,
        root="agreement",
        shared="model agreement name summary risk_level currency minimum_amount management_fee custody_fee"
        " product_cost horizon_years target_market documents is_open",
        is_announced=True,
    ),
    Kind(
        "models_portfolio.ModelPortfolio",
        Function.MODELS,
        through="models_portfolio.Offer.model",
        shared="code name description currency risk_level benchmark drift_tolerance",
        kept="unit",
    ),
    Kind(
        "models_portfolio.ModelVersion",
        Function.MODELS,
        via="model",
        rows="{t}.state = 'published'",
        shared="model number state effective_from comment published_at published_by_name",
        is_announced=True,
    ),
    Kind(
        "models_portfolio.Target",
        Function.MODELS,
        via="version",
        shared="version security sub_model weight minimum_weight maximum_weight is_locked",
    ),
    Kind(
        "models_portfolio.View",
        Function.MODELS,
        via="version",
        rows="{t}.published_at IS NOT NULL",
        shared="version security asset_class tilt rationale valid_from valid_to published_at published_by_name",
        is_announced=True,
    ),
    # Management: what was decided, and how the portfolio is run.
    Kind(
        "clients.MandateDecision",
        Function.MANAGEMENT,
        via="mandate",
        wakes="mandate",
        shared="mandate submission outcome reason missing decided_at decided_by_name",
        is_announced=True,
    ),
    Kind(
        "clients.InstructionOutcome",
        Function.MANAGEMENT,
        via="instruction",
        shared="instruction outcome amount currency note at by_name",
        is_announced=True,
    ),
    Kind(
        "portfolios.Portfolio",
        Function.MANAGEMENT,
        via="mandate",
        shared="number name mandate currency cost_method minimum_cash_weight opened_on closed_on manager_name",
        kept="unit",
        personal="name",
        is_announced=True,
    ),
    Kind(
        "models_portfolio.ModelAssignment",
        Function.MANAGEMENT,
        via="portfolio",
        shared="portfolio model valid_from valid_to",
    ),
    Kind(
        "portfolios.Valuation",
        Function.MANAGEMENT,
        via="portfolio",
        shared="portfolio date currency market_value cash_value inflow outflow fees return_index"
        " gross_return_index drift problem has_simulated_prices is_latest",
    ),
    # Trading.
    Kind(
        "trading.Order",
        Function.TRADING,
        via="portfolio",
        shared="portfolio security number side quantity filled_quantity average_price currency estimated_amount"
        " state reason state_note sent_at closed_at",
        kept="proposal block",
    ),
    Kind(
        "trading.Allocation",
        Function.TRADING,
        via="portfolio",
        shared="order portfolio quantity price currency gross_amount fees net_amount exchange_rate trade_date"
        " settlement_date replaces withdrawn_at withdrawal_note",
        kept="execution booking_problem",
    ),
    # Settlement.
    Kind(
        "clients.InstructionBooking",
        Function.SETTLEMENT,
        via="instruction",
        shared="instruction outcome amount currency entry exchange_rate reason at by_name",
        personal="reason",
        heard_by=Function.MANAGEMENT,
    ),
    Kind(
        "portfolios.Account",
        Function.SETTLEMENT,
        via="portfolio",
        shared="portfolio kind number currency custodian",
    ),
    Kind(
        "trading.Settlement",
        Function.SETTLEMENT,
        via="portfolio",
        shared="allocation portfolio state expected_date settled_on failure_reason",
    ),
    Kind(
        "trading.Affirmation",
        Function.SETTLEMENT,
        via="portfolio",
        shared="allocation portfolio state reason at by_name",
    ),
    Kind(
        "portfolios.Transaction",
        Function.SETTLEMENT,
        via="portfolio",
        shared="portfolio type trade_date settlement_date security quantity price currency gross_amount fees taxes"
        " net_amount exchange_rate counter_currency counter_amount ratio reverses original_date original_cost original_cost_portfolio"
        " reference text",
        personal="text",
        # Whoever manages values what somebody else has booked.
        heard_by=Function.MANAGEMENT,
    ),
    Kind(
        "portfolios.Holding",
        Function.SETTLEMENT,
        via="portfolio",
        shared="portfolio security currency quantity settled_quantity available_quantity price price_date"
        " price_source_name is_price_simulated average_cost book_cost market_value weight problem as_of",
    ),
    Kind(
        "portfolios.CorporateAction",
        Function.SETTLEMENT,
        via="portfolio",
        shared="portfolio security kind ex_date pay_date amount_per_unit ratio currency is_booked",
    ),
    # Reporting.
    Kind(
        "reporting.Report",
        Function.REPORTING,
        via="portfolio",
        rows="{t}.state = 'ready'",
        shared="portfolio number kind title language period_from period_to state problem content pdf made_at"
        " made_by_name",
        personal="title content pdf",
        is_announced=True,
    ),
    # Reference data: follows the rows that name it. A security with an ISIN is added as the receiver's
    # own and never overwritten, so only those without one are mirrored as records.
    Kind(
        "portfolios.Security",
        None,
        rows="{t}.isin IS NULL AND {t}.id IN ({named_securities})",
        shared="isin name ticker kind asset_class sector country currency price_unit lot_size quantity_decimals"
        " coupon_rate maturity_date is_active",
        kept="replaced_by",
    ),
    Kind(
        "portfolios.Listing",
        None,
        via="security",
        shared="security mic currency ticker is_primary",
    ),
    Kind(
        "portfolios.PriceSource",
        None,
        rows="{t}.is_redistributable",
        shared="code name is_redistributable is_simulated",
        kept="preference",
    ),
    Kind(
        "portfolios.Price",
        None,
        via="source",
        rows="{t}.security_id IN ({named_securities})",
        shared="security source date close currency",
    ),
    Kind(
        "portfolios.ExchangeRate",
        None,
        via="source",
        rows="{t}.currency IN ({named_currencies})",
        shared="source date currency rate",
    ),
    Kind(
        "portfolios.Benchmark",
        Function.MODELS,
        through="models_portfolio.ModelPortfolio.benchmark",
        shared="code name currency",
    ),
    Kind(
        "portfolios.BenchmarkValue",
        Function.MODELS,
        via="benchmark",
        shared="benchmark date level",
    ),
)

# The kinds whose currency makes exchange rates follow.
WITH_RATES = frozenset(
    {
        "portfolios.Portfolio",
        "portfolios.Holding",
        "portfolios.Transaction",
        "models_portfolio.ModelPortfolio",
    }
)

PRIVATE: tuple[Private, ...] = (
    Private("clients.Note", Function.RELATIONSHIP, "an advisor's own words"),
    Private("clients.Task", Function.RELATIONSHIP, "an advisor's own work list"),
    Private("clients.KycEvidence", Function.RELATIONSHIP, "what a check rested on; its outcome is shared"),
    Private(
        "clients.Questionnaire", Function.RELATIONSHIP, "the answers; the profile drawn from them is shared"
    ),
    Private("portfolios.BankEntry", Function.SETTLEMENT, "the bank's statement; what was booked is shared"),
    Private("trading.RestrictedSecurity", Function.MANAGEMENT, "the institution's own restrictions"),
    Private("trading.Proposal", Function.MANAGEMENT, "a draft of orders; the orders are shared"),
    Private("trading.Block", Function.TRADING, "spans the channels of a manager"),
    Private("trading.Execution", Function.TRADING, "spans the channels of a manager"),
    Private("models_portfolio.Adoption", Function.MANAGEMENT, "the receiver's decision on a version"),
)
