from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('federation', '0007_sealed_keys'),
    ]

    operations = [
        # Whether the dispatcher wants to be told of each commit. A sequence, since its value is seen at once by
        # every transaction, whatever its snapshot; by whoever may write.
        migrations.RunSQL(
            "CREATE SEQUENCE public.federation_bell; GRANT SELECT ON public.federation_bell TO PUBLIC",
            "DROP SEQUENCE public.federation_bell",
        ),
    ]
