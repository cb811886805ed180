"""`python -m worker`: one worker in the foreground, logs as JSON lines on stderr, until SIGTERM."""

import asyncio
import os
import signal
import sys

from app.catalog import Catalog, CatalogErrors, load_catalog
from app.logs import configure
from app.settings import Settings, SettingsError
from sql.sealing import use_keys
from worker.database import connect
from worker.loop import Terms, Worker
from worker.webhooks import Teller


def main() -> int:
    """Reads settings and catalog, and works until it is told to stop; 2 where either is wrong."""
    configure("worker")
    try:
        settings = Settings.from_environment(os.environ)
        catalog = load_catalog(settings.config, os.environ) if settings.config.exists() else Catalog()
    except SettingsError as wrong:
        print(wrong, file=sys.stderr)  # noqa: T201
        return 2
    except CatalogErrors as wrong:
        print("\n".join(str(mistake) for mistake in wrong.mistakes), file=sys.stderr)  # noqa: T201
        return 2
    if settings.database_url is None:
        print("DATABASE_URL is unset; `counterfoil worker` works with the embedded Postgres", file=sys.stderr)  # noqa: T201
        return 2
    use_keys(settings.payload_keys)
    asyncio.run(_work(terms(settings, settings.database_url), catalog))
    return 0


def terms(settings: Settings, dsn: str) -> Terms:
    """What the settings say of a worker."""
    return Terms(
        dsn=dsn,
        listen_dsn=settings.listen_url,
        slots=settings.worker_slots,
        lease_s=settings.lease_s,
        poll_s=settings.poll_s,
        clock_slack_s=settings.clock_slack_s,
        operator_ttl_s=settings.operator_ttl_s,
        drain_s=settings.drain_s,
        fingerprint_key=settings.fingerprint_key,
        payload_days=settings.payload_days,
    )


async def _work(conditions: Terms, catalog: Catalog) -> None:
    worker = Worker(conditions, catalog)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        worker.stop()
        # A second one means now: the ledger is made for that.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: os._exit(1))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    telling = asyncio.create_task(Teller(lambda: connect(conditions.dsn)).run())
    try:
        await worker.run()
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


if __name__ == "__main__":
    sys.exit(main())
