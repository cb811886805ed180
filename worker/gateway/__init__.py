"""The tool gateway's client: sends one attempt, reads what its reply proves. Never sees a database connection."""
