"""The tool gateway's client: sends an attempt, reads what its reply proves. Never sees the database."""
