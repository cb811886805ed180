"""Answers that get lost between server and client: the client's own resends make nothing twice."""

import psycopg

from tests.app.api.conftest import Site
from tests.bench.bench_resends import create_runs


def test_every_third_answer_lost_and_still_one_run_each(site: Site, rows: psycopg.Connection) -> None:
    """The 500 of the contract: `python tests/bench/bench_resends.py`."""
    told = create_runs(site.url, site.key, 60, 6)
    assert len(told) == 60
    assert rows.execute("select count(*) from counterfoil.runs").fetchone() == (60,)
    assert rows.execute("select count(*) from counterfoil.threads").fetchone() == (60,)
