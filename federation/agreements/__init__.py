"""Agreements: how they are drafted, come into force, change and end."""
