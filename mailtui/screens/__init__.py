"""One module per screen, each with a class `View`; `ORDER` is their order on the number keys."""

ORDER = ("overview", "queues", "broker", "hosts", "bans", "audit", "journal", "sources")
