from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ('accounts', '0005_user_reactivated_at'),
    ]

    operations = [
        migrations.RenameField(model_name='user', old_name='reactivated_at', new_name='signed_out_at'),
    ]
