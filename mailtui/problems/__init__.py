"""What is wrong: one module per source, each with a function `find`.

`find(state, context, now) -> Iterable[Problem]` reads the state and nothing else. A new module is
found by its name; `mailtui.problems.engine` puts the answers of all in order.
"""
