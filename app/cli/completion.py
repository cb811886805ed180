"""`counterfoil completion`."""

import click
from click.shell_completion import get_completion_class

from app.cli.errors import CommandError


@click.command(help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Use it by `eval "$(counterfoil completion bash)"`."""
    kind = get_completion_class(shell)
    if kind is None:
        raise CommandError(f"no completion for {shell}")
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, "counterfoil", "_COUNTERFOIL_COMPLETE").source())
