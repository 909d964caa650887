"""Evaluates shell_syntax's trees: enough of a POSIX shell for consoles, scripts and people."""

from __future__ import annotations

import asyncio
import fnmatch
from dataclasses import replace

from mailtui.sandbox import shell_builtins
from mailtui.sandbox.commands import USER_PATH, Context, Exit, run_command
from mailtui.sandbox.shell_syntax import ShellSyntaxError, parse
from mailtui.sandbox.shell_tree import (
    AndOr,
    Command,
    For,
    Group,
    If,
    List,
    Literal,
    Parameter,
    Pipeline,
    Redirect,
    Simple,
    Substitution,
    Word,
)
from mailtui.sandbox.streams import Collected, Null, Pipe, Sink, Source


class _Failed(Exception):
    """An expansion or a redirection failed: the command is not run, or the shell ends."""


class _File:
    """A file opened for reading."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self) -> bytes:
        data, self._data = self._data, b""
        return data


class Shell:
    """One shell process; subshells are copies."""

    def __init__(self, context: Context, positional: list[str] | None = None) -> None:
        self.context = context
        self.variables = dict(context.env)
        self.exported = set(context.env)
        self.positional = positional or []
        self.status = 0
        self.errexit = False
        self.nounset = False
        self._condition = 0

    async def run(self, script: str) -> int:
        """Runs a whole script; the exit status. A syntax error runs nothing and gives 2."""
        try:
            commands = parse(script)
        except ShellSyntaxError as error:
            await self.say(f"Syntax error: {error}")
            return 2
        except RecursionError:
            await self.say("Syntax error: nested too deeply for this sandbox")
            return 2
        try:
            return await self._list(commands)
        except Exit as exit_:
            return exit_.status
        except BrokenPipeError:
            return 141

    async def say(self, text: str) -> None:
        """An error in dash's form."""
        await self.context.err(f"{self.context.shell_name}: 1: {text}")

    def environment(self) -> dict[str, str]:
        """What commands inherit."""
        return {n: self.variables[n] for n in sorted(self.exported) if n in self.variables}

    def _copy(self, **streams: Source | Sink) -> Shell:
        child = Shell(replace(self.context, **streams), list(self.positional))  # type: ignore[arg-type]
        child.variables = dict(self.variables)
        child.exported = set(self.exported)
        child.status = self.status
        child.errexit = self.errexit
        child.nounset = self.nounset
        child._condition = self._condition
        return child

    # -- control

    async def _list(self, commands: List) -> int:
        for command in commands:
            await self._and_or(command)
        return self.status

    async def _and_or(self, node: AndOr) -> None:
        pipelines = [("", node.first), *node.rest]
        for index, (op, pipeline) in enumerate(pipelines):
            if (op == "&&" and self.status != 0) or (op == "||" and self.status == 0):
                continue
            last = index == len(pipelines) - 1
            guarded = pipeline.negated or not last
            self._condition += guarded
            try:
                self.status = await self._pipeline(pipeline)
            finally:
                self._condition -= guarded
            if self.errexit and self.status and not guarded and not self._condition:
                raise Exit(self.status)

    async def _pipeline(self, node: Pipeline) -> int:
        if len(node.commands) == 1:
            status = await self._command(node.commands[0])
        else:
            status = await self._piped(node.commands)
        return int(status == 0) if node.negated else status

    async def _piped(self, commands: list[Command]) -> int:
        pipes = [Pipe() for _ in commands[1:]]

        async def one(index: int) -> int:
            streams: dict[str, Source | Sink] = {}
            if index > 0:
                streams["stdin"] = pipes[index - 1]
            if index < len(pipes):
                streams["stdout"] = pipes[index]
            child = self._copy(**streams)
            try:
                return await child._command(commands[index])
            except Exit as exit_:
                return exit_.status
            except BrokenPipeError:
                return 141
            finally:
                if index > 0:
                    pipes[index - 1].break_()
                if index < len(pipes):
                    pipes[index].end()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(index)) for index in range(len(commands))]
        return tasks[-1].result()

    async def _command(self, node: Command) -> int:
        before = self.context
        try:
            if isinstance(node, Simple):
                return await self._simple(node)
            self.context = await self._redirected(node.redirects)
            return await self._compound(node)
        except _Failed as error:
            await self.say(str(error))
            return 2
        finally:
            if not (isinstance(node, Simple) and self._permanent):
                self.context = before
            self._permanent = False

    _permanent = False
    """`exec` without a command: the redirections stay."""

    async def _compound(self, node: Group | If | For) -> int:
        if isinstance(node, Group):
            if not node.subshell:
                return await self._list(node.body)
            try:
                return await self._copy()._list(node.body)
            except Exit as exit_:
                return exit_.status
        if isinstance(node, For):
            values = [v for word in node.words for v in await self._fields(word)]
            self.status = 0
            for value in values:
                self.variables[node.name] = value
                await self._list(node.body)
            return self.status
        for condition, body in node.branches:
            self._condition += 1
            try:
                met = await self._list(condition) == 0
            finally:
                self._condition -= 1
            if met:
                return await self._list(body)
        return await self._list(node.otherwise) if node.otherwise is not None else 0

    async def _simple(self, node: Simple) -> int:
        self._substituted = 0
        argv = [value for word in node.words for value in await self._fields(word)]
        context = await self._redirected(node.redirects)
        self.context = context  # as in dash, redirections hold for what assignments substitute
        if not argv:
            for name, word in node.assignments:
                self.variables[name] = await self._text(word)
            return self._substituted
        extra = {name: await self._text(word) for name, word in node.assignments}
        return await self.execute(argv, context, extra)

    async def execute(self, argv: list[str], context: Context, extra: dict[str, str]) -> int:
        """Runs a builtin, or a tool of the host; 127 if there is none."""
        self.context, before = context, self.context
        try:
            builtin = shell_builtins.BUILTINS.get(argv[0])
            if builtin is not None:
                # in dash, assignments before a special builtin stay; before others they do not
                saved = dict(self.variables)
                self.variables.update(extra)
                status = await builtin(self, argv)
                if extra and argv[0] not in shell_builtins.SPECIAL:
                    self.variables = saved
                return status
            return await self.external(argv, extra)
        finally:
            if not self._permanent:
                self.context = before

    async def external(self, argv: list[str], extra: dict[str, str]) -> int:
        """A tool found by PATH."""
        env = {**self.environment(), **extra}
        path = self.context.machine.find(argv[0], self._lookup_path(extra))
        if path is None:
            await self.say(f"{argv[0]}: not found")
            return 127
        child = replace(self.context, env=env)
        return await run_command(child, self.context.machine.commands[path], argv)

    def _lookup_path(self, extra: dict[str, str]) -> str:
        return extra.get("PATH", self.variables.get("PATH", USER_PATH))

    # -- redirections

    async def _redirected(self, redirects: list[Redirect]) -> Context:
        streams: dict[int, Source | Sink] = {
            **self.context.descriptors,
            0: self.context.stdin,
            1: self.context.stdout,
            2: self.context.stderr,
        }
        for redirect in redirects:
            target = await self._text(redirect.target)
            if redirect.op in ("<&", ">&") and target == "-":
                if redirect.fd <= 2:
                    raise _Failed("closing a standard stream is not supported by this sandbox")
                streams.pop(redirect.fd, None)
            elif redirect.op in ("<&", ">&"):
                if not target.isdigit():
                    raise _Failed("Bad fd number")
                if int(target) not in streams:
                    raise _Failed(f"{target}: Bad file descriptor")
                streams[redirect.fd] = streams[int(target)]
            elif redirect.op == "<":
                streams[redirect.fd] = self._open(target)
            elif target == "/dev/null":
                streams[redirect.fd] = Null()
            elif target in ("/dev/stdout", "/dev/stderr"):
                streams[redirect.fd] = streams[1 if target.endswith("out") else 2]
            else:
                raise _Failed(f"cannot create {target}: Read-only file system")
        above = {fd: stream for fd, stream in streams.items() if fd > 2}
        return replace(
            self.context,
            stdin=streams[0],  # type: ignore[arg-type]
            stdout=streams[1],  # type: ignore[arg-type]
            stderr=streams[2],  # type: ignore[arg-type]
            descriptors=above,
        )

    def _open(self, path: str) -> Source:
        if path == "/dev/null":
            return Null()
        if path == "/dev/stdin":
            return self.context.stdin
        read = self.context.machine.files.get(path)
        if read is None:
            raise _Failed(f"cannot open {path}: No such file")
        return _File(read())

    # -- expansion

    async def _text(self, word: Word) -> str:
        """Expanded without field splitting (assignments, redirections)."""
        return "".join([await self._piece(piece) for piece in word])

    async def _piece(self, piece: Literal | Parameter | Substitution) -> str:
        if isinstance(piece, Literal):
            return piece.text
        if isinstance(piece, Parameter):
            return await self._parameter(piece)
        output = Collected()
        child = self._copy(stdout=output)
        try:
            self._substituted = await child._list(piece.body)
        except Exit as exit_:
            self._substituted = exit_.status
        return output.value().rstrip(b"\n").decode("utf-8", "surrogateescape")

    _substituted = 0
    """Status of the last command substitution: that of an assignment without a command."""

    async def _parameter(self, piece: Parameter) -> str:
        value = self._value(piece.name)
        if piece.default is not None and (value is None or (piece.if_empty and not value)):
            return await self._text(piece.default)
        if value is None and self.nounset:
            await self.say(f"{piece.name}: parameter not set")
            raise Exit(2)
        return value or ""

    def _value(self, name: str) -> str | None:
        if name == "?":
            return str(self.status)
        if name == "#":
            return str(max(0, len(self.positional) - 1))
        if name in "@*":
            return " ".join(self.positional[1:])
        if name == "$":
            return "4711"
        if name.isdigit():
            index = int(name)
            if index == 0 and not self.positional:
                return self.context.shell_name
            return self.positional[index] if index < len(self.positional) else None
        if name in "-!":
            return ""
        return self.variables.get(name)

    async def _fields(self, word: Word) -> list[str]:
        """Expanded, split at white space where unquoted, and file names matched."""
        fields: list[list[tuple[str, bool]]] = []
        current: list[tuple[str, bool]] | None = None
        for index, piece in enumerate(word):
            if isinstance(piece, Parameter) and piece.name == "@" and piece.quoted:
                values = self.positional[1:]
                for number, value in enumerate(values):
                    if number and current is not None:
                        fields.append(current)
                        current = None
                    current = [*(current or []), (value, True)]
                if not values and len(word) == 2:  # "$@" alone with no arguments is no field
                    return []
                continue
            text = await self._piece(piece)
            if isinstance(piece, Literal) or piece.quoted:
                if index == 0 and text == "~" and not piece.quoted and self._tilde_ends(word):
                    text = self.variables.get("HOME", "~")
                current = [*(current or []), (text, piece.quoted)]
                continue
            parts = text.split()
            if text[:1].isspace() and current is not None:
                fields.append(current)
                current = None
            for number, part in enumerate(parts):
                if number and current is not None:
                    fields.append(current)
                    current = None
                current = [*(current or []), (part, False)]
            if parts and text[-1:].isspace() and current is not None:
                fields.append(current)
                current = None
        if current is not None:
            fields.append(current)
        return [name for field in fields for name in self._match(field)]

    @staticmethod
    def _tilde_ends(word: Word) -> bool:
        after = word[1] if len(word) > 1 else None
        return after is None or (isinstance(after, Literal) and after.text.startswith("/"))

    def _match(self, field: list[tuple[str, bool]]) -> list[str]:
        text = "".join(part for part, _ in field)
        if not any(set(part) & set("*?[") for part, quoted in field if not quoted):
            return [text]
        pattern = "".join(
            "".join(f"[{c}]" if c in "*?[" else c for c in part) if quoted else part
            for part, quoted in field
        )
        depth = text.count("/")
        found = sorted(
            path
            for path in self.context.machine.files
            if path.count("/") == depth and fnmatch.fnmatchcase(path, pattern)
        )
        return found or [text]
