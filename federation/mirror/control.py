"""What the rest of the platform tells the mirror."""

from federation.models import Agreement


def agreement_changed(agreement: Agreement) -> None:
    """Bring the streams of an agreement in line with it, in the caller's transaction.

    Call it after every change of the agreement's row or version in force, in the same transaction.
    """
