"""What had been taken over before anybody wrote down that it was booked out is booked out."""

from django.db import migrations

# Own handovers only: a partner's are its own to change, and arrive changed.
FORWARDS = """
UPDATE portfolios_handover handover SET booked_out_on = as_of
WHERE origin IS NULL AND booked_out_on IS NULL AND EXISTS (
    SELECT FROM portfolios_transaction booked
    WHERE booked.reference = handover.id AND booked.type <> 'reversal' AND NOT EXISTS (
        SELECT FROM portfolios_transaction reversal WHERE reversal.reverses_id = booked.id
    )
);
"""


class Migration(migrations.Migration):
    dependencies = [("portfolios", "0009_handover_booked_out")]

    operations = [migrations.RunSQL(FORWARDS, migrations.RunSQL.noop)]
