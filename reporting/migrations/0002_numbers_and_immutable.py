"""A sequence that numbers reports, and the rule that a report once made stays as it was made.

Received rows are the mirror's business: it writes them as a replica, for which triggers of this kind
do not fire.
"""

from django.db import migrations

FORWARDS = """
CREATE SEQUENCE reporting_report_number START 10001;
CREATE FUNCTION refuse_change_of_report() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A report stays as it was made: make a new one'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER report_immutable_when_ready BEFORE UPDATE OR DELETE ON reporting_report
    FOR EACH ROW WHEN (OLD.origin IS NULL AND OLD.state = 'ready') EXECUTE FUNCTION refuse_change_of_report();
"""
BACKWARDS = """
DROP TRIGGER report_immutable_when_ready ON reporting_report;
DROP FUNCTION refuse_change_of_report();
DROP SEQUENCE reporting_report_number;
"""


class Migration(migrations.Migration):
    dependencies = [("reporting", "0001_initial")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
