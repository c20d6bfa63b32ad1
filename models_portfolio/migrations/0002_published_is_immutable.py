"""Refuse, in the database, any change of an own published version, its targets and its views."""

from django.db import migrations

# Received rows are the mirror's business; another trigger keeps everybody else off them.
CREATE = """
CREATE FUNCTION models_portfolio_version_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A published version cannot be changed: make a new version.'
        USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER version_is_fixed BEFORE UPDATE OR DELETE ON models_portfolio_modelversion
    FOR EACH ROW WHEN (OLD.origin IS NULL AND OLD.state = 'published')
    EXECUTE FUNCTION models_portfolio_version_is_fixed();

CREATE FUNCTION models_portfolio_target_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    fixed boolean;
    wanted uuid[] := CASE TG_OP
        WHEN 'INSERT' THEN ARRAY[NEW.version_id]
        WHEN 'DELETE' THEN ARRAY[OLD.version_id]
        ELSE ARRAY[OLD.version_id, NEW.version_id] END;
BEGIN
    EXECUTE format(
        'SELECT EXISTS (SELECT FROM %I.models_portfolio_modelversion'
        ' WHERE id = ANY ($1) AND origin IS NULL AND state = ''published'')', TG_TABLE_SCHEMA)
        INTO fixed USING wanted;
    IF fixed THEN
        RAISE EXCEPTION 'The targets of a published version cannot be changed: make a new version.'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER target_is_fixed BEFORE INSERT OR UPDATE OR DELETE ON models_portfolio_target
    FOR EACH ROW EXECUTE FUNCTION models_portfolio_target_is_fixed();

CREATE FUNCTION models_portfolio_view_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR to_jsonb(OLD) - 'valid_to' <> to_jsonb(NEW) - 'valid_to' THEN
        RAISE EXCEPTION 'A published view cannot be changed: end it and publish another.'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER view_is_fixed BEFORE UPDATE OR DELETE ON models_portfolio_view
    FOR EACH ROW WHEN (OLD.origin IS NULL AND OLD.published_at IS NOT NULL)
    EXECUTE FUNCTION models_portfolio_view_is_fixed();
"""

DROP = """
DROP TRIGGER view_is_fixed ON models_portfolio_view;
DROP FUNCTION models_portfolio_view_is_fixed();
DROP TRIGGER target_is_fixed ON models_portfolio_target;
DROP FUNCTION models_portfolio_target_is_fixed();
DROP TRIGGER version_is_fixed ON models_portfolio_modelversion;
DROP FUNCTION models_portfolio_version_is_fixed();
"""


class Migration(migrations.Migration):
    dependencies = [("models_portfolio", "0001_initial")]
    operations = [migrations.RunSQL(CREATE, DROP)]
