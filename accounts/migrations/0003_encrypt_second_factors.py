from django.db import migrations

from accounts.second_factor import decrypted, encrypted


def _change(apps, change):
    for each in apps.get_model("mfa", "Authenticator").objects.filter(type__in=["totp", "recovery_codes"]):
        for name in ("secret", "seed"):
            if name in each.data:
                each.data[name] = change(each.data[name])
        each.save(update_fields=["data"])


def encrypt(apps, schema_editor):
    _change(apps, encrypted)


def decrypt(apps, schema_editor):
    _change(apps, decrypted)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_api_requests'),
        ('mfa', '0003_authenticator_type_uniq'),
    ]

    operations = [migrations.RunPython(encrypt, decrypt)]
