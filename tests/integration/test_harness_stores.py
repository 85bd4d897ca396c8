"""The stores these tests bring along: a PostgreSQL cluster and a Redis of their own."""

from tests.support.stores import Postgres


def test_each_database_of_the_cluster_is_fresh(postgres: Postgres) -> None:
    first, second = postgres.create(), postgres.create()
    assert first != second
    connection = postgres.connect(second.rpartition("/")[2])
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (0,)
    connection.close()


def test_redis_answers_on_its_socket(redis_url: str) -> None:
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        assert client.ping() is True
