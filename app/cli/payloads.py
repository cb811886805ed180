"""`counterfoil payloads rotate`, `threads erase`: what is stored of arguments and outputs, sealed anew or gone."""

from __future__ import annotations

import os
from typing import Final
from uuid import UUID

import click

from app.cli.database import connected
from app.cli.errors import NOT_FOUND, USAGE, CommandError
from sql.execute import execute
from sql.operators import insert_audit
from sql.payloads import SealedRow, erase_thread, page_sealed, reseal_payloads, scrub_payloads
from sql.sealing import current_key_id, seal, unseal
from sql.threads import thread_exists

BATCH: Final = 500


@click.command(help="Seal all payloads with the first key of PAYLOAD_KEY; may be stopped and started again.")
def rotate() -> None:
    """Batch by batch, each committed by itself."""
    with connected() as connection:
        name = current_key_id()
        if name is None:
            raise CommandError("PAYLOAD_KEY is unset: put the new key first, and the old ones behind it", USAGE)
        after: UUID | None = None
        done = unopened = 0
        while rows := execute(connection, page_sealed(key_id=name, after=after, max_payloads=BATCH)):
            after = rows[-1].id
            opened = [(row, data) for row in rows if (data := unseal(row.bytes, row.key_id)) is not None]
            unopened += len(rows) - len(opened)
            done += len(execute(connection, reseal_payloads(*_resealed(opened), key_id=name)))
    click.echo(f"{done} payloads sealed with key {name}")
    if unopened:
        raise CommandError(f"{unopened} payloads were sealed with a key that PAYLOAD_KEY does not hold")


def _resealed(opened: list[tuple[SealedRow, bytes]]) -> tuple[list[UUID], list[bytes], list[str | None]]:
    return (
        [row.id for row, _ in opened],
        [seal(bytes(data))[0] for _, data in opened],
        [row.key_id for row, _ in opened],
    )


@click.command(help="Empty a thread's messages, and scrub the payloads of its settled calls now.")
@click.argument("thread_id")
@click.option("--reason", required=True, help="Why, for the audit.")
@click.option("--operator", default=lambda: os.environ.get("USER", "cli"), help="Who, for the audit.")
def erase(thread_id: str, reason: str, operator: str) -> None:
    """Fingerprints, states and evidence stay: they hold no payload."""
    with connected() as connection:
        if not execute(connection, thread_exists(thread_id)):
            raise CommandError(f"no thread {thread_id}", NOT_FOUND)
        with connection.transaction():
            erased = execute(connection, erase_thread(thread_id))
            audit = insert_audit(operator=operator, action="erase_thread", reason=reason, object=thread_id)
            execute(connection, audit)
        while execute(connection, scrub_payloads(max_payloads=BATCH)):
            pass
    assert erased is not None
    click.echo(f"{erased.messages} messages emptied, {erased.payloads} payloads scrubbed")
    if erased.unsettled:
        click.echo(f"{erased.unsettled} calls are not settled: their payloads stay until they are", err=True)
