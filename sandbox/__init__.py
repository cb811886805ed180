"""The outside world for demo and tests: ticketing, e-mail, billing; audit trails, and faults on demand."""
