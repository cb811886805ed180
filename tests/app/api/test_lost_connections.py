"""Database connections die at any moment, during commits too: each request still makes its object once."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import openai
import psycopg
import pytest

from tests.app.api.conftest import Site

REQUESTS = 80
SEED = 20260312


def kill_connections(site: Site, stop: threading.Event) -> int:
    """Ends the web's busy sessions again and again until told to stop; how many."""
    chance = random.Random(SEED)
    killed = 0
    with psycopg.connect(site.dsn, autocommit=True) as connection:
        while not stop.wait(chance.uniform(0.005, 0.03)):
            killed += connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'counterfoil web'"
                " and datname = current_database() and state <> 'idle' limit 1"
            ).rowcount
    return killed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_each_request_makes_one_run(site: Site, assistant: str, rows: psycopg.Connection) -> None:
    client = site.client(max_retries=10)
    stop = threading.Event()

    def create(number: int) -> str | None:
        try:
            return client.beta.threads.create_and_run(assistant_id=assistant, metadata={"number": str(number)}).id
        except openai.InternalServerError:
            return None

    with ThreadPoolExecutor(9) as pool:
        killing = pool.submit(kill_connections, site, stop)
        made = list(pool.map(create, range(REQUESTS)))
        stop.set()
        assert killing.result() > 0
    found = rows.execute(
        "select metadata ->> 'number', array_agg(id) from counterfoil.runs where metadata ->> 'number' is not null"
        " group by 1"
    ).fetchall()
    twice = {number: ids for number, ids in found if len(ids) > 1}
    assert not twice
    assert {number: ids[0] for number, ids in found} == {
        str(number): id for number, id in enumerate(made) if id is not None
    }
    assert sum(id is not None for id in made) > REQUESTS * 0.9
