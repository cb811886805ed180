"""The command `counterfoil`.

Every command is named in `COMMANDS` with the place where it is and what it does, and imported only when it is
used, so that `--help` is quick. An error is one line on stderr and an exit code:
0 ok, 1 found or failed, 2 usage, 3 not found, 4 not allowed, 5 conflict, 7 timeout.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any, Final

import click

from app.cli.errors import one_line_of

# Name → (where, what it does). A space makes a command of a group.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "up": ("app.cli.up:up", "Run everything here: Postgres, web, worker, sandbox."),
    "demo": ("app.cli.demo:demo", "Play the founding incident twice: as it was, and with the ledger."),
    "drill": ("app.cli.drill:drill", "Break everything under load, and count what was doubled or lost."),
    "web": ("app.cli.processes:web", "Serve the agent API and the console."),
    "worker": ("app.cli.processes:worker", "Drive runs."),
    "sandbox": ("app.cli.processes:sandbox", "Serve the outside world for demo and tests."),
    "migrate up": ("app.cli.migrate:up", "Bring the database to this version's schema."),
    "migrate status": ("app.cli.migrate:status", "Show how far the database is."),
    "migrate check": ("app.cli.migrate:check", "Exit 1 unless the schema is this version's."),
    "migrate sql": ("app.cli.migrate:sql", "Print the migrations as one SQL script."),
    "keys create": ("app.cli.keys:create", "Make an API key and print it, this once."),
    "keys list": ("app.cli.keys:list_keys", "List API keys, without the keys."),
    "keys revoke": ("app.cli.keys:revoke", "Make an API key invalid from now on."),
    "users add": ("app.cli.users:add", "Make an operator of the console; asks for a password."),
    "users role": ("app.cli.users:role", "Give an operator another role."),
    "users password": ("app.cli.users:password", "Give an operator another password; ends their sessions."),
    "users list": ("app.cli.users:list_users", "List the operators."),
    "runs list": ("app.cli.runs:list_runs", "List runs, newest first."),
    "runs show": ("app.cli.runs:show", "Show a run with its calls, attempts, evidence and events."),
    "runs watch": ("app.cli.runs:watch", "Follow a run's events until it has ended."),
    "runs resume": ("app.cli.runs:resume", "Let a stuck or poisoned run go on: due now."),
    "runs cancel": ("app.cli.runs:cancel", "End a run at once as cancelled."),
    "runs export": ("app.cli.runs:export", "Write runs as JSON lines, for `counterfoil investigate`."),
    "calls list": ("app.cli.calls:list_calls", "List calls with their evidence, newest run first."),
    "calls show": ("app.cli.calls:show", "Show one call with its attempts and evidence."),
    "calls resolve": ("app.cli.calls:resolve", "Say what became of a call in doubt."),
    "tools check": ("app.cli.tools:check", "Show every mistake in the catalog."),
    "tools verify": ("app.cli.verify:verify", "Find out whether a tool keeps its contract, in its test system."),
    "tools list": ("app.cli.tools_pause:list_tools", "List the tools that workers loaded, and which are paused."),
    "tools pause": ("app.cli.tools_pause:pause", "Stop sending to a tool; its calls wait."),
    "tools resume": ("app.cli.tools_pause:resume", "Send to a paused tool again."),
    "payloads rotate": ("app.cli.payloads:rotate", "Seal all payloads with the newest key."),
    "threads erase": ("app.cli.payloads:erase", "Empty a thread, and scrub the payloads of its calls."),
    "investigate": (
        "app.cli.investigate:investigate",
        "Explain duplicated effects from logs and audit trails.",
    ),
    "completion": ("app.cli.completion:completion", "Print the completion script for a shell."),
    "doctor": ("app.cli.doctor:doctor", "Check what is needed here, each ok or how to mend it."),
    "version": ("app.cli.version:version", "Print the version."),
}
GROUPS: Final[dict[str, str]] = {
    "migrate": "The database's schema.",
    "keys": "API keys of projects.",
    "users": "Operators of the console.",
    "runs": "Runs: what they do, and letting them go on or end.",
    "calls": "Tool calls: the ledger, and those in doubt.",
    "tools": "The tools of the catalog.",
    "payloads": "Arguments and outputs at rest.",
    "threads": "Conversations.",
}


class CommandTable(click.Group):
    """A group whose commands are the entries of `COMMANDS` below `prefix`."""

    def __init__(self, prefix: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        below = (name.removeprefix(self.prefix) for name in COMMANDS if name.startswith(self.prefix))
        return list(dict.fromkeys(name.split(" ")[0] for name in below))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command, or make its group."""
        name = self.prefix + cmd_name
        if name in GROUPS:
            return CommandTable(f"{name} ", name=cmd_name, help=GROUPS[name])
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write names and what they do from the table, importing nothing."""
        names = self.list_commands(ctx)
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._short_help(name)) for name in names])

    def _short_help(self, name: str) -> str:
        full = self.prefix + name
        return GROUPS[full] if full in GROUPS else COMMANDS[full][1]


counterfoil = CommandTable(
    name="counterfoil",
    help="Runs LLM agents' turns so that no side effect is knowingly caused twice; all state in Postgres.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; users never see a traceback unless COUNTERFOIL_DEBUG is set."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a sign gets a question mark, not an error
    try:
        code = counterfoil.main(args=arguments, prog_name="counterfoil", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except Exception as error:
        known = one_line_of(error)
        if known is None and os.environ.get("COUNTERFOIL_DEBUG"):
            raise
        line, exit_code = known or (
            f"unexpected {type(error).__name__}: {error}; COUNTERFOIL_DEBUG=1 shows where",
            1,
        )
        sys.stderr.write(f"counterfoil: {line}\n")
        sys.exit(exit_code)
    sys.exit(code if isinstance(code, int) else 0)
