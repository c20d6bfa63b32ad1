"""Keep the ledger append-only in the database too.

Received entries are the mirror's business: it writes them as a replica, for which triggers of this
kind do not fire, and a partner's rows may leave the share again.
"""

from django.db import migrations

# Names without a schema: they belong to the institution whose schema is being migrated.
FORWARDS = """
CREATE FUNCTION refuse_change_of_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The ledger is append-only: reverse the entry and book a new one'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER transaction_append_only BEFORE UPDATE OR DELETE ON portfolios_transaction
    FOR EACH ROW WHEN (OLD.origin IS NULL) EXECUTE FUNCTION refuse_change_of_ledger();
"""
BACKWARDS = """
DROP TRIGGER transaction_append_only ON portfolios_transaction;
DROP FUNCTION refuse_change_of_ledger();
"""


class Migration(migrations.Migration):
    dependencies = [("portfolios", "0001_initial")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
