"""`counterfoil demo`: the founding incident, as it was and with the ledger."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.database import read_settings
from app.cli.errors import FAILED
from app.cli.supervisor import Supervisor
from app.cli.up import interrupt, shown

if TYPE_CHECKING:
    from app.demo.act import Act
    from app.demo.stage import Mode
    from app.demo.tell import Teller


@click.command(help="Play the founding incident twice: as it was, and with the ledger.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object; the story goes to stderr.")
def demo(as_json: bool) -> None:
    """Exit 0 when coordination as it was made two tickets and the ledger one, else 1."""
    from rich.console import Console  # noqa: PLC0415

    from app.demo import tell, traces  # noqa: PLC0415

    started = time.monotonic()
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)  # also where a shell started us with it ignored, by `&`
    teller = tell.Teller(Console(stderr=as_json, highlight=False))
    acts = play_both(teller)
    folder = traces_folder()
    traces.write_traces(folder, acts.values())
    seconds = time.monotonic() - started
    if as_json:
        click.echo(json.dumps(tell.as_json(acts, seconds, str(folder))))
    else:
        commands = [f"./start {traces.investigate_command(shown(folder / 'off'))}", "./start"]
        teller.close(acts, commands)
    raise SystemExit(0 if tell.as_expected(acts) else FAILED)


def play_both(teller: Teller) -> dict[Mode, Act]:
    """Set the stage, play both acts, and clear it away, also at Ctrl-C."""
    from app.cli.throwaway import temporary_home  # noqa: PLC0415
    from app.demo.act import play  # noqa: PLC0415
    from app.demo.stage import Stage  # noqa: PLC0415

    teller.open()
    modes: tuple[Mode, ...] = ("off", "enforce")
    acts: dict[Mode, Act] = {}
    with temporary_home("counterfoil-demo-") as home, Supervisor() as parts:
        stage = Stage(home, parts)
        stage.start()
        tools = [{"type": "function", "function": {"name": "create_ticket"}}]
        assistant = stage.ask("off", "/assistants", {"model": "scripted", "tools": tools})
        for mode in modes:
            teller.act(mode)
            acts[mode] = play(stage, mode, assistant["id"], teller.say)
    return acts


def traces_folder() -> Path:
    """An empty folder for what is left behind: `COUNTERFOIL_HOME/demo`, else a temporary one."""
    folder = read_settings().home / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix=f"counterfoil-traces-{os.getpid()}-"))
    return folder
