"""The database backend: django-tenants', which sets the schema only where another one is set."""
