"""What a report's page shows beside its document: the chart, the steps, and hidden amounts."""

import copy
import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from accounts import formatting
from accounts.origins import origin_name
from reporting.models import Report

TABLES = ("development", "returns", "allocation", "holdings", "costs", "transactions")


def masked(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document whose amounts of money are dots, for a reader who hides amounts."""
    hidden = copy.deepcopy(dict(document))
    for tile in hidden.get("tiles", []):
        if tile["is_amount"]:
            tile["value"] = formatting.HIDDEN
    for name in TABLES:
        table = hidden.get(name)
        if table is None:
            continue
        for row in table["rows"]:
            for column in table["amounts"]:
                row[column] = formatting.HIDDEN if row[column] else ""
    if "costs" in hidden:
        # It names the average value.
        hidden["costs"]["note"] = ""
    return hidden


def chart_of(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the chart of the return since the beginning of the period and its data as a table."""
    points = [
        (datetime.date.fromisoformat(day), Decimal(level) - 1)
        for day, level in content.get("figures", {}).get("index", [])
    ]
    if len(points) < 2:
        return None
    option = {
        "roboblock": {"format": "percent", "places": 2},
        "xAxis": {"type": "time"},
        "yAxis": {"type": "value", "scale": True},
        "series": [
            {
                "type": "line",
                "name": _("Return, net"),
                "showSymbol": False,
                "areaStyle": {"opacity": 0.08},
                "data": [[day.isoformat(), round(float(change), 6)] for day, change in points],
            }
        ],
    }
    table = {
        "headers": [_("Day"), _("Return since the beginning")],
        "rows": [[formatting.day(day), formatting.signed_percent(change)] for day, change in points],
    }
    return {"option": option, "table": table}


def steps_of(report: Report) -> list[dict[str, Any]]:
    """Return what happened to a report, at both institutions, oldest first."""
    steps = [
        {
            "at": report.made_at or report.created_at,
            "who": _who(report.made_by_name, report.origin),
            "side": "left",
            "title": _("Made") if report.made_at else _("Ordered"),
            "icon": "report-analytics",
        }
    ]
    if report.state == Report.State.FAILED:
        steps.append({**steps[0], "title": _("Failed"), "text": report.problem, "tone": "red"})
    if report.is_released:
        release = report.release
        steps.append(
            {
                "at": release.released_at,
                "who": _who(release.released_by_name, release.origin),
                "side": "right",
                "title": _("Released to the client"),
                "text": release.note,
                "icon": "send",
                "tone": "green",
            }
        )
    return steps


def _who(name: str, origin: Any) -> str:
    institution = origin_name(origin)
    return f"{name}, {institution}" if name and institution else name or institution
