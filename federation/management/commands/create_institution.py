"""Create an institution with its schema, domain and first administrator."""

import re
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse
from django_tenants.utils import get_public_schema_name, schema_context, schema_exists, tenant_context

from accounts.models import Role, User
from accounts.services import invite_person
from clients.countries import check_country
from federation import schemas
from federation.models import Domain, Institution

RESERVED = {"public", "information_schema"}
HOST = re.compile(r"^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$")


class Command(BaseCommand):
    """Create one institution; running it again for the same institution changes nothing."""

    help = "Create an institution with its schema, its domain and its first administrator."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help='such as "Harbour Bank"')
        parser.add_argument("--schema", required=True, help="such as harbour: small letters, digits and _")
        parser.add_argument(
            "--domain", required=True, help=f"such as harbour.{settings.PLATFORM_HOST}, no port"
        )
        parser.add_argument("--admin-email", required=True)
        parser.add_argument(
            "--admin-name", default="", help="who administers it; the e-mail's first part else"
        )
        parser.add_argument("--short-name", default="", help="the first word of the name else")
        parser.add_argument("--country", default="CH", help="two letters")
        parser.add_argument("--currency", default="EUR", help="three letters")
        parser.add_argument(
            "--language",
            default="en",
            choices=User.Writing.values,
            help="of reports to clients; the administrator's dates and numbers are written as in it, pages are in English",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name, schema, domain = options["name"].strip(), options["schema"], options["domain"].lower()
        self._check(name, schema, domain, options)
        existing = Institution.objects.filter(schema_name=schema).first()
        # Without a domain, a run of an earlier version was interrupted: go on from there.
        is_unfinished = existing is not None and existing.name == name and not existing.domains.exists()
        if existing is not None and not is_unfinished:
            self._say_existing(existing, name, domain)
            return
        self._check_free(name, schema, domain, is_unfinished=is_unfinished)
        self.stdout.write(f"Creating {name}: schema, tables …")
        started = time.monotonic()
        institution = existing or Institution(
            schema_name=schema,
            name=name,
            short_name=options["short_name"] or name.split()[0][:40],
            country=options["country"].upper(),
            currency=options["currency"].upper(),
            language=options["language"],
        )
        # All of it or nothing: what is interrupted leaves no trace. Whatever this is called in, a schema
        # is created from the public one.
        with schemas.blank_is_current(), schema_context(get_public_schema_name()), transaction.atomic():
            institution.save(verbosity=0)
            address = Domain.objects.create(domain=domain, tenant=institution, is_primary=True).url
            with tenant_context(institution):
                email = options["admin_email"]
                _invitation, secret = invite_person(
                    email=email,
                    full_name=options["admin_name"] or email.partition("@")[0],
                    language=options["language"],
                    assignments=[(Role.ADMINISTRATOR, None)],
                    by=None,
                )
        path = reverse("accounts:invitation", args=[secret], urlconf=settings.ROOT_URLCONF)
        self.stdout.write(self.style.SUCCESS(f"{name} is ready after {time.monotonic() - started:.1f} s."))
        self.stdout.write(f"{email} sets a password here, once, within a week:")
        self.stdout.write(f"{address}{path}")

    def _check(self, name: str, schema: str, domain: str, options: dict[str, Any]) -> None:
        if not name:
            raise CommandError("Give the institution a name: --name 'Harbour Bank'.")
        if (
            not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", schema)
            or schema in RESERVED
            or schema.startswith("pg_")
        ):
            raise CommandError(
                f"'{schema}' cannot be a schema. Use a small letter, then small letters, digits or _, such as harbour."
            )
        if not HOST.fullmatch(domain):
            raise CommandError(
                f"'{domain}' is no host name. Give it without scheme and port, such as harbour.{settings.PLATFORM_HOST}."
            )
        for option, length in (("country", 2), ("currency", 3)):
            if not re.fullmatch(rf"[A-Za-z]{{{length}}}", options[option]):
                raise CommandError(f"--{option} takes {length} letters, not '{options[option]}'.")
        try:
            check_country(options["country"].upper())
        except ValidationError as error:
            raise CommandError(f"There is no country '{options['country']}'. {error.messages[0]}") from error
        try:
            validate_email(options["admin_email"])
        except ValidationError as error:
            raise CommandError(f"'{options['admin_email']}' is no e-mail address.") from error

    def _say_existing(self, existing: Institution, name: str, domain: str) -> None:
        domains = set(existing.domains.values_list("domain", flat=True))
        if existing.name != name or domain not in domains:
            raise CommandError(
                f"The schema {existing.schema_name} belongs to {existing.name} at {', '.join(sorted(domains))}. "
                "Choose another schema."
            )
        self.stdout.write(f"{name} exists already. Nothing was changed.")

    def _check_free(self, name: str, schema: str, domain: str, *, is_unfinished: bool) -> None:
        if not is_unfinished and Institution.objects.filter(name__iexact=name).exists():
            raise CommandError(f"There is already an institution named {name}. Choose another name.")
        taken = Domain.objects.filter(domain=domain).select_related("tenant").first()
        if taken is not None:
            raise CommandError(f"{domain} leads to {taken.tenant}. Choose another domain.")
        if not is_unfinished and schema_exists(schema):
            raise CommandError(
                f"The database already has a schema {schema} that belongs to no institution. Look at it, then "
                f"remove it (DROP SCHEMA {schema} CASCADE) or choose another name."
            )
