"""`counterfoil users`: operators of the console, their roles and passwords."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from app.cli.database import connected
from app.cli.errors import CONFLICT, NOT_FOUND, USAGE, CommandError

if TYPE_CHECKING:
    import psycopg

ROLES: Final = click.Choice(("viewer", "operator", "admin"))
SHORTEST_PASSWORD: Final = 10
LONGEST_PASSWORD: Final = 1000

as_json_option = click.option("--json", "as_json", is_flag=True, help='Print {"name", "role"}.')
stdin_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
role_option = click.option("--role", type=ROLES, required=True, help="What they may do, each more than the one before.")


@click.command(help="Make an operator of the console; asks for a password.")
@click.argument("name")
@role_option
@stdin_option
@as_json_option
def add(name: str, role: str, password_stdin: bool, as_json: bool) -> None:
    """Exit 5 when the name is taken."""
    from sql.execute import execute  # noqa: PLC0415
    from sql.users import insert_user  # noqa: PLC0415

    checked, password = checked_name(name), read_password(password_stdin)
    with connected() as connection:
        if execute(connection, insert_user(name=checked, role=role, password_hash=hash_of(password))) is None:
            raise CommandError(f"there is an operator {checked} already", CONFLICT)
    say(checked, role, f"{checked} may log in as {role}", as_json)


@click.command(help="Give an operator another role.")
@click.argument("name")
@role_option
@as_json_option
def role(name: str, role: str, as_json: bool) -> None:
    """From their next request on. Exit 3 when there is no such operator."""
    with connected() as connection:
        change(connection, name, role=role)
    say(name, role, f"{name} is {role} from now on", as_json)


@click.command(help="Give an operator another password; ends their sessions.")
@click.argument("name")
@stdin_option
@as_json_option
def password(name: str, password_stdin: bool, as_json: bool) -> None:
    """Exit 3 when there is no such operator."""
    new = read_password(password_stdin)
    with connected() as connection:
        change(connection, name, password_hash=hash_of(new))
    say(name, None, f"{name} has a new password, and is logged out everywhere", as_json)


@click.command(name="list", help="List the operators.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def list_users(as_json: bool) -> None:
    """Names, roles, since when, and when they were last seen."""
    from app.cli import output as out  # noqa: PLC0415
    from sql.execute import execute  # noqa: PLC0415
    from sql.users import list_users as statement  # noqa: PLC0415

    with connected() as connection:
        found = execute(connection, statement())
    if as_json:
        for user in found:
            out.emit(out.plain(user))
        return
    rows = [(user.name, user.role, out.age(user.created_at), out.age(user.seen_at)) for user in found]
    out.print_table(("name", "role", "age", "last seen"), rows, "no operators")


def checked_name(name: str) -> str:
    """The name without blanks around it. Raises `CommandError`."""
    text = name.strip()
    if not text or len(text) > 200 or not text.isprintable():
        raise CommandError("a name has 1 to 200 letters", USAGE)
    return text


def read_password(from_stdin: bool) -> str:
    """A password, asked for twice at a terminal. Raises `CommandError`."""
    if from_stdin:
        found = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        found = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise CommandError("no terminal to ask for the password at: pass it by --password-stdin", USAGE)
    if not SHORTEST_PASSWORD <= len(found) <= LONGEST_PASSWORD:
        raise CommandError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} letters", USAGE)
    return found


def hash_of(password: str) -> str:
    """What is stored of a password: Argon2id."""
    from argon2 import PasswordHasher  # noqa: PLC0415

    return PasswordHasher().hash(password)


def change(connection: psycopg.Connection[Any], name: str, **changes: str) -> None:
    """Changes an operator. Raises `CommandError`."""
    from sql.execute import execute  # noqa: PLC0415
    from sql.users import update_user  # noqa: PLC0415

    if execute(connection, update_user(name=name, **changes)) is None:
        raise CommandError(f"no operator {name}", NOT_FOUND)


def say(name: str, role: str | None, line: str, as_json: bool) -> None:
    """What was done, for people or scripts."""
    shown = {"name": name, "role": role} if role else {"name": name}
    click.echo(json.dumps(shown) if as_json else line)
