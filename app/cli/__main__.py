"""`python -m app.cli` is `counterfoil`, for whoever has no such command on the path."""

from app.cli import main

main()
