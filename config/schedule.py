"""What beat has done by itself, and when; times are in UTC."""

from celery.schedules import crontab

Entry = dict[str, object]


def _everywhere(task: str, *, hour: int, minute: int) -> Entry:
    """Have a task run in every institution, once a day."""
    when = crontab(hour=hour, minute=minute)
    return {"task": "federation.tasks.in_every_institution", "schedule": when, "args": [task]}


def _where_active(*tasks: str, when: float | crontab) -> Entry:
    """Have tasks run where something was written within a week, by the clock or every so many seconds.

    Who that is costs a look at all institutions, so what is due at once shares one.
    """
    return {"task": "federation.tasks.in_active_institutions", "schedule": when, "args": tasks}


MIRRORS: dict[str, Entry] = {
    # A second net below the dispatcher's own sweep.
    "sweep-streams": {"task": "federation.tasks.sweep_streams", "schedule": 30.0},
    "trim-logs": {"task": "federation.tasks.trim_logs", "schedule": 60.0},
    "erase-due": {"task": "federation.tasks.erase_due", "schedule": crontab(hour=2, minute=10)},
    "clear-stubs": {"task": "federation.tasks.clear_stubs", "schedule": crontab(hour=2, minute=40)},
    "watch-streams": {"task": "federation.tasks.watch_streams", "schedule": 30.0},
    "roll-up-figures": {"task": "federation.tasks.roll_up_figures", "schedule": crontab(minute=7)},
    # All streams over three hours of the night.
    "prove-nightly": {
        "task": "federation.tasks.prove_nightly",
        "schedule": crontab(hour="1-3", minute="*/5"),
    },
}
NIGHTLY: dict[str, Entry] = {
    "settle-due-everywhere": _everywhere("trading.tasks.settle_due_settlements", hour=0, minute=5),
    # After midnight: settlement dates and the age of prices change with the day.
    "value-portfolios": _everywhere("portfolios.tasks.value_portfolios", hour=0, minute=20),
    "hand-over-late-everywhere": _everywhere("portfolios.tasks.hand_over_late", hour=0, minute=35),
    "resume-blocks-everywhere": _everywhere("trading.tasks.resume_blocks", hour=2, minute=5),
    "resume-reports-everywhere": _everywhere("reporting.tasks.resume_reports", hour=2, minute=25),
    "forget-api-requests-everywhere": _everywhere("accounts.tasks.forget_api_requests", hour=3, minute=20),
    "clear-away": _everywhere("accounts.tasks.clear_away", hour=3, minute=40),
    "release-waiting-orders-everywhere": _everywhere(
        "trading.tasks.release_waiting_orders", hour=9, minute=5
    ),
}
OFTEN: dict[str, Entry] = {
    "every-five-minutes": _where_active(
        "trading.tasks.release_waiting_orders",
        "trading.tasks.resume_blocks",
        "trading.tasks.settle_due_settlements",
        "reporting.tasks.resume_reports",
        when=300.0,
    ),
    "hand-over-late": _where_active("portfolios.tasks.hand_over_late", when=1800.0),
    "forget-api-requests": _where_active("accounts.tasks.forget_api_requests", when=crontab(minute=40)),
}
SCHEDULE = {**MIRRORS, **NIGHTLY, **OFTEN}
# Before its portfolios are valued.
DEMONSTRATION: dict[str, Entry] = {
    "go-on-with-the-demonstration": {
        "task": "federation.tasks.go_on",
        "schedule": crontab(hour=0, minute=10),
    }
}
