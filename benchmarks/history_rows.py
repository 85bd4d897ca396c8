"""A history of any length for the fleet that is there, written by PostgreSQL itself."""

from django.db import connection


def fill(rows: int, days: int) -> None:
    """Make `rows` changes in `days` days, each line's in turn: away, home, now and then lost."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL, {"rows": rows, "days": f"{days} days"})
        cursor.execute("VACUUM ANALYZE registrations_transition")


_SQL = """
INSERT INTO registrations_transition (registration_id, at, mac, extension, handset_name, group_name,
  site_name, from_state, from_server, to_state, to_server, cause, code, reason, detect_seconds,
  seconds, asked_by)
WITH lines AS MATERIALIZED (
  SELECT row_number() OVER (ORDER BY r.id) - 1 AS place, r.id, h.mac, l.extension, h.name,
    g.name AS group_name, s.name AS site_name, a.address || ':5060' AS first,
    b.address || ':5060' AS second
  FROM registrations_registration r JOIN fleet_line l ON l.id = r.line_id
  JOIN fleet_handset h ON h.id = l.handset_id JOIN fleet_servergroup g ON g.id = r.group_id
  JOIN fleet_site s ON s.id = r.site_id
  JOIN fleet_server a ON a.group_id = g.id AND a.priority = 1
  JOIN fleet_server b ON b.group_id = g.id AND b.priority = 2
), told AS (
  SELECT n, (n * 7919) %% (SELECT count(*) FROM lines) AS place,
    (n / (SELECT count(*) FROM lines)) %% 10 AS step,
    now() - %(days)s::interval + n * (%(days)s::interval / %(rows)s) AS at
  FROM generate_series(1::bigint, %(rows)s) n
)
SELECT id, at, mac, extension, name, group_name, site_name,
  CASE WHEN step = 9 THEN 'unregistered' WHEN step %% 2 = 1 THEN 'secondary' ELSE 'primary' END,
  CASE WHEN step = 9 THEN '' WHEN step %% 2 = 1 THEN second ELSE first END,
  CASE WHEN step = 8 THEN 'unregistered' WHEN step %% 2 = 0 THEN 'secondary' ELSE 'primary' END,
  CASE WHEN step = 8 THEN '' WHEN step %% 2 = 0 THEN second ELSE first END,
  CASE WHEN n %% 100003 = 0 THEN 'forced_failback' WHEN step = 8 THEN 'lost'
    WHEN step = 9 THEN 'restored' WHEN step %% 2 = 0 THEN 'failover' ELSE 'failback' END,
  CASE WHEN step %% 2 = 1 THEN 200 END,
  CASE WHEN step %% 2 = 0 THEN first || ' did not answer within 7.5 s. ' || second
    || ' took the registration.' ELSE first || ' took the registration.' END,
  CASE WHEN step %% 2 = 0 THEN 3240.5 END, 7.5 + (n %% 1000) / 1000.0,
  CASE WHEN n %% 100003 = 0 THEN 'olga' ELSE '' END
FROM told JOIN lines USING (place) ORDER BY n
"""
