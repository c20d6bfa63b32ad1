"""What capture takes from small transactions: pgbench, mixed, eight clients, bound by the processor."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from config.embedded.postgres import binaries

CLIENTS, SECONDS = 8, 5
# One entry booked, one portfolio renamed, one looked up: three statements in one transaction.
SCRIPT = """
\\set p random(0, 599)
BEGIN;
SELECT name, currency FROM alpha.portfolios_portfolio WHERE number = 'P-' || :p;
INSERT INTO alpha.portfolios_transaction (id, created_at, portfolio_id, type, trade_date, settlement_date,
    quantity, currency, gross_amount, fees, taxes, net_amount, exchange_rate, counter_currency, text)
SELECT gen_random_uuid(), now(), id, 'deposit', current_date, current_date,
    0, 'EUR', 100, 0, 0, 100, 1, '', 'Benchmark' FROM alpha.portfolios_portfolio WHERE number = 'P-' || :p;
UPDATE alpha.portfolios_portfolio SET manager_name = 'Manager ' || :p WHERE number = 'P-' || :p;
END;
"""


def transactions_per_second() -> float:
    """Run the script for some seconds; return transactions a second. Commits do not wait for the disk."""
    given = conninfo_to_dict(os.environ["DATABASE_URL"])
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "mixed.sql"
        script.write_text(SCRIPT)
        ran = subprocess.run(
            [
                binaries() / "pgbench", "-h", str(given["host"]), "-U", str(given["user"]), "-n", "-f", script,
                "-c", str(CLIENTS), "-j", "2", "-T", str(SECONDS), str(given["dbname"]),
            ],
            check=True, capture_output=True, text=True,
            env={**os.environ, "PGOPTIONS": "-c synchronous_commit=off"},
        )  # fmt: skip
    found = re.search(r"tps = ([\d.]+)", ran.stdout)
    if found is None:
        raise RuntimeError("pgbench told no figure")
    return float(found[1])
