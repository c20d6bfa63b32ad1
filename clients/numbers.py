"""Numbers that people read out: generated, unique per owner, also under concurrency."""

import uuid

from django.db import connection, models
from stdnum import iso11649
from stdnum.iso7064 import mod_97_10

from clients.models import Client, Mandate

# Crockford's base 32 (no I, L, O, U): nothing in a reference can be mistaken for something else.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REFERENCE_CHARACTERS = 12
# Numbers begin with five digits; a copied schema's sequences begin at 1.
_BEFORE_FIRST = 10_000


def _next(sequence: str, prefix: str, model: type[models.Model]) -> str:
    # A sequence never gives a number twice; one that was taken over from elsewhere is passed by.
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval(%s)", [sequence])
            number = f"{prefix}{_BEFORE_FIRST + cursor.fetchone()[0]}"
        if not model._default_manager.filter(origin=None, number=number).exists():
            return number


def next_client_number() -> str:
    """Return a client number that is not taken, such as "C-10001"."""
    return _next("clients_client_number", "C-", Client)


def next_mandate_number() -> str:
    """Return a mandate number that is not taken, such as "M-10001"."""
    return _next("clients_mandate_number", "M-", Mandate)


def payment_reference(instruction_id: uuid.UUID) -> str:
    """Return the creditor reference of a deposit (ISO 11649), compact, from the random part of its id.

    A manager gets deposits from the clients of several channels: the reference says which
    instruction is meant whoever it came from.
    """
    number, characters = instruction_id.int & (2 ** (5 * _REFERENCE_CHARACTERS) - 1), ""
    for _ in range(_REFERENCE_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        characters = _ALPHABET[digit] + characters
    check = mod_97_10.calc_check_digits(characters + "RF")
    return iso11649.validate(f"RF{check}{characters}")


def same_reference(written: str, reference: str) -> bool:
    """Say whether what somebody wrote on a payment is this reference, whatever the spaces and case."""
    return iso11649.compact(written) == iso11649.compact(reference)
