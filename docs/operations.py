"""docs/operations.md, made from the registry: `python -m docs.operations` (or `make docs`)."""

from __future__ import annotations

from pathlib import Path

from mailtui.operations import registry
from mailtui.operations.base import Operation

HERE = Path(__file__).parent
TARGET = HERE / "operations.md"
HEAD = HERE / "operations.head.md"

_CONFIRM = {
    "safe": "nothing is asked",
    "reversible": "a yes",
    "irreversible": "a yes",
    "destructive": "a typed word and a code of the second factor",
}


def text() -> str:
    """The whole page."""
    operations = registry.every()
    shown = [o for o in operations if not o.hidden]
    lines = [HEAD.read_text(encoding="utf-8").rstrip(), "", "## Every operation", ""]
    lines += ["| operation | key | on | danger | permission |", "|---|---|---|---|---|"]
    for o in shown:
        key = f"`{o.key}`" if o.key else ""
        lines.append(f"| [{o.id}](#{o.id.replace('.', '')}) | {key} | {o.resource} "
                     f"| {o.danger} | `{o.permission}` |")  # fmt: skip
    for o in (*shown, *(o for o in operations if o.hidden)):
        lines += ["", *_one(o)]
    return "\n".join(lines) + "\n"


def _one(o: Operation) -> list[str]:
    lines = [f"### {o.id}", "", f"{o.title}.", ""]
    if o.help:
        lines += [" ".join(o.help.split()), ""]
    lines.append(f"- Danger: {o.danger}; before it runs: {_CONFIRM[o.danger]}.")
    lines.append(f"- Permission: `{o.permission}`.")
    if o.hidden:
        lines.append("- Reached by undo alone.")
    else:
        rows = {"rows": "any number of rows", "one": "one row", "platform": "no row"}[o.scope]
        lines.append(
            f"- Acts on {rows} of `{o.resource}`" + (f", key `{o.key}`." if o.key else ".")
        )
    lines.append(f"- Undo: `{o.inverse}`." if o.inverse else "- Undo: none by a fixed inverse.")
    if o.parameters:
        lines += ["", "| parameter | | default |", "|---|---|---|"]
        for p in o.parameters:
            words = p.help + (f" ({', '.join(p.choices)})" if p.choices else "")
            default = "required" if p.required else (f"`{p.default}`" if p.default else "")
            lines.append(f"| `--{p.name}` | {words} | {default} |")
    if not o.hidden:
        lines += ["", "```", _example(o), "```"]
    return lines


def _example(o: Operation) -> str:
    words = ["mailtui do", o.id]
    if o.scope != "platform":
        words.append("--where 'EXPRESSION'")
    words += [f"--{p.name} {p.example or p.name.upper()}" for p in o.parameters if p.required]
    return " ".join([*words, "--dry-run"])


def main() -> None:
    """Write the page."""
    TARGET.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
