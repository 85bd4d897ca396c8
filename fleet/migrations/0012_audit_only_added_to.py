from django.db import migrations

from fleet import append_only


class Migration(migrations.Migration):

    dependencies = [
        ('fleet', '0011_provenance'),
        ('auditlog', '0017_add_actor_email'),
    ]

    operations = [
        migrations.RunPython(
            lambda apps, editor: append_only.put(editor.connection),
            lambda apps, editor: append_only.lift(editor.connection),
        ),
    ]
