"""`counterfoil demo`: the founding incident, twice, on real processes; what differs is `LEDGER`."""
