from django.db import migrations

FIRST = """
INSERT INTO registrations_standbyproof
    (registration_id, server_id, site_id, proof, reason, refusals, due_at)
SELECT r.id, v.id, r.site_id, 'unasked', '', 0, CURRENT_TIMESTAMP
FROM registrations_registration r JOIN fleet_line l ON l.id = r.line_id
JOIN fleet_server v ON v.group_id = r.group_id
WHERE v.register AND l.supervision <> 'off'
"""
"""One row for each line there is and each server that it may register with."""



class Migration(migrations.Migration):

    dependencies = [
        ('registrations', '0011_standby_proofs'),
    ]

    operations = [
        migrations.RunSQL(FIRST, migrations.RunSQL.noop),
    ]
