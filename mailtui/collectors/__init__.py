"""The read side: one module per source, a poller, the state that they fill.

A module named like a source of the configuration has one function,
`collectors(context, connections) -> list[Collector]`; nothing else needs to know of it.
"""
