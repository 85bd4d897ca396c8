"""The hub's questions to the database: one connection for all sockets, anew once it is lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import Error, connection

from registrations import live
from registrations.live.reading import Reader
from tests.support.databases import database, migrated_postgres

__all__ = ["database", "migrated_postgres"]


def asked(*questions: Callable[[], Any]) -> list[Any]:
    """The answers of one reader to these, one after the other."""

    async def ask() -> list[Any]:
        reader = Reader()
        try:
            return [await reader.ask(question) for question in questions]
        finally:
            reader.close()

    return asyncio.run(ask())


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def lost() -> int:
    """Have PostgreSQL end this thread's connection: its next question finds it gone."""
    pid = backend()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    finally:
        other.close()
    return pid


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_questions_share_a_connection_until_it_is_lost(database: str) -> None:
    first, second, ended, later, again = asked(backend, backend, lost, backend, backend)
    assert first == second == ended
    assert later == again != first


def test_a_question_that_fails_again_fails(database: str) -> None:
    def wrong() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")

    with pytest.raises(Error):
        asked(wrong)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_who_comes_is_asked_for_by_the_connection_of_those_who_are_there(database: str) -> None:
    async def take(text: str) -> None: ...

    async def come() -> tuple[int, ...]:
        there = live.join(take)
        try:
            return await live.ask(backend), await there.ask(backend), await live.ask(backend)
        finally:
            there.leave()

    assert len(set(asyncio.run(come()))) == 1
