"""Second factors: their secrets are encrypted in the database with a key that is not kept there."""

import base64

from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.translation import gettext as _

from accounts.errors import DomainError

# How each encrypted text begins; no secret in plain text does, which is base 32 or hexadecimal.
MARK = "gAAAA"


def _cipher(secret_key: str) -> Fernet:
    key = HKDF(SHA256(), length=32, salt=None, info=b"accounts.second_factor").derive(secret_key.encode())
    return Fernet(base64.urlsafe_b64encode(key))


def encrypted(text: str) -> str:
    """Return ``text`` encrypted with a key from SECRET_KEY; what is encrypted already stays as it is."""
    return text if text.startswith(MARK) else _cipher(settings.SECRET_KEY).encrypt(text.encode()).decode()


def decrypted(text: str) -> str:
    """Return what was encrypted with SECRET_KEY or one of SECRET_KEY_FALLBACKS; plain text as it is.

    Raises DomainError where no key fits.
    """
    if not text.startswith(MARK):
        return text
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    try:
        return MultiFernet([_cipher(key) for key in keys]).decrypt(text.encode()).decode()
    except InvalidToken as error:
        raise DomainError(
            "second_factor_unreadable",
            _(
                "The second factor cannot be read, since the platform has another key than before."
                " Ask whoever runs it to name the earlier one in SECRET_KEY_FALLBACKS."
            ),
        ) from error


class MFAAdapter(DefaultMFAAdapter):
    """Encrypt the secrets of authenticator apps and the seeds of recovery codes."""

    def encrypt(self, text: str) -> str:
        return encrypted(text)

    def decrypt(self, encrypted_text: str) -> str:
        return decrypted(encrypted_text)
