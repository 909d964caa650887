"""A plan in words: where, how many, by which command; what is left out, lost, undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.table import Table
from rich.text import Text

from mailtui.connections.clean import clean
from mailtui.model.operation import Danger, Plan
from mailtui.widgets.glyphs import Glyphs

DANGER_STYLES: Mapping[str, str] = {
    "safe": "bold", "reversible": "bold", "irreversible": "bold", "destructive": "bold reverse",
}  # fmt: skip
Part = Text | Table


def place(name: str) -> str:
    """A place as one word after the other: a broker's has its virtual host before a tab."""
    return clean(" ".join(name.split("\t")))


def danger(word: Danger, glyphs: Glyphs) -> Text:
    """The danger as a word, with a sign where something is lost or cannot be taken back."""
    signs = {"destructive": f"{glyphs.critical} ", "irreversible": f"{glyphs.warning} "}
    sign = signs.get(word, "")
    return Text(f" {sign}{word} ", style=DANGER_STYLES[word])


def parts(plan: Plan, glyphs: Glyphs) -> Iterator[Part]:
    """Everything of a plan but its title, the most important first; nothing is cut."""
    if plan.blockers:
        yield _signed(plan.blockers, glyphs.critical, "bold")
    yield steps(plan)
    if plan.loses:
        worse = plan.danger == "destructive"
        yield _signed(
            plan.loses, glyphs.critical if worse else glyphs.warning, "bold" if worse else ""
        )
    if plan.warnings:
        yield _signed(plan.warnings, glyphs.warning, "")
    facts = Table.grid(padding=(0, 1))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column(overflow="fold", ratio=1)
    if plan.selection:
        facts.add_row("chosen by", clean_text(plan.selection))
    if plan.parameters:
        words = "  ".join(f"{name}={value}" for name, value in plan.parameters.items() if value)
        facts.add_row("with", clean_text(words or "nothing given"))
    for number, sample in enumerate(plan.samples):
        facts.add_row("" if number else "sample", clean_text(sample))
    for number, words in enumerate(plan.excluded):
        facts.add_row("" if number else "not included", clean_text(words))
    facts.add_row("undo", clean_text(plan.undo or "none: it cannot be taken back"))
    yield facts


def steps(plan: Plan) -> Part:
    """Place, number, command: one line each."""
    if not plan.steps:
        return Text("nothing would be done", style="bold")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=all(len(step.place) <= 24 for step in plan.steps), overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for step in plan.steps:
        table.add_row(
            Text(place(step.place), style="bold"), f"{step.count:,}", clean_text(step.does)
        )
    return table


def clean_text(words: str) -> Text:
    """Never markup."""
    return Text(clean(words), overflow="fold")


def _signed(lines: tuple[str, ...], sign: str, style: str) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style=style)
    table.add_column(overflow="fold", ratio=1, style=style)
    for line in lines:
        table.add_row(sign, clean_text(line))
    return table
