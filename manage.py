#!/usr/bin/env python
"""Run Roboblock's management commands."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from config import embedded

    try:
        execute_from_command_line(sys.argv)
    except OperationalError:
        if embedded.urls()[0] is None:
            sys.exit("The database is not running: start the platform with make run, or set DATABASE_URL.")
        raise
