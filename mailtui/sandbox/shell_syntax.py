"""The part of the POSIX shell grammar that the sandbox understands, as a syntax tree.

IEEE Std 1003.1-2017, Shell Command Language, chapter 2. What is outside this part (functions,
case, here-documents, arithmetic, background jobs …) is a ShellSyntaxError, never a guess.
`shlex` is not used: it drops the quoting that decides about expansion and splitting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

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

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# runs without a meaning of their own; `=` ends one, so that an assignment's name is one literal
_PLAIN = re.compile(r"[A-Za-z0-9_./:,%+@-]+")
_PLAIN_QUOTED = re.compile(r'[^"\\$`]+')
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9?#$@*!-]")
_OPERATOR = re.compile(r"&&|\|\||;;|<<|>>|<&|>&|<>|>\||[;&|()<>]")
_REDIRECTS = {"<", ">", ">>", "<&", ">&", ">|"}
_UNSUPPORTED = {"case", "esac", "function", "select", "until", "while", "[[", "coproc"}
_CLOSERS = {"}", "then", "else", "elif", "fi", "do", "done"}


class ShellSyntaxError(Exception):
    """The script is wrong, or uses what the sandbox does not support."""


@dataclass(slots=True)
class _Token:
    kind: str
    """word, op, newline or end."""
    text: str
    word: Word = field(default_factory=list)
    io_number: int | None = None


class _Parser:
    def __init__(self, text: str, pos: int = 0) -> None:
        self.text = text
        self.pos = pos
        self.held: _Token | None = None

    # -- tokens

    def peek(self) -> _Token:
        if self.held is None:
            self.held = self._token()
        return self.held

    def take(self) -> _Token:
        token = self.peek()
        self.held = None
        return token

    def _token(self) -> _Token:
        text = self.text
        while self.pos < len(text):
            if text[self.pos] in " \t":
                self.pos += 1
            elif text.startswith("\\\n", self.pos):
                self.pos += 2
            elif text[self.pos] == "#":
                end = text.find("\n", self.pos)
                self.pos = len(text) if end < 0 else end
            else:
                break
        if self.pos >= len(text):
            return _Token("end", "end of file")
        if text[self.pos] == "\n":
            self.pos += 1
            return _Token("newline", "newline")
        operator = _OPERATOR.match(text, self.pos)
        if operator:
            self.pos = operator.end()
            return _Token("op", operator.group())
        start = self.pos
        word = self._word()
        raw = text[start : self.pos]
        if raw.isdigit() and self.pos < len(text) and text[self.pos] in "<>":
            token = self._token()
            token.io_number = int(raw)
            return token
        return _Token("word", raw, word)

    def _word(self) -> Word:
        word: Word = []
        text = self.text
        while self.pos < len(text):
            plain = _PLAIN.match(text, self.pos)
            if plain:
                word.append(Literal(plain.group(), False))
                self.pos = plain.end()
                continue
            char = text[self.pos]
            if char in " \t\n;&|()<>":
                break
            if char == "'":
                end = text.find("'", self.pos + 1)
                if end < 0:
                    raise ShellSyntaxError("Unterminated quoted string")
                word.append(Literal(text[self.pos + 1 : end], True))
                self.pos = end + 1
            elif char == '"':
                self.pos += 1
                self._double_quoted(word)
            elif char == "\\":
                if text[self.pos + 1 : self.pos + 2] != "\n":
                    word.append(Literal(text[self.pos + 1 : self.pos + 2] or "\\", True))
                self.pos += 2
            elif char == "$":
                word.append(self._dollar(False))
            elif char == "`":
                raise ShellSyntaxError("` is not supported by this sandbox: use $( )")
            else:
                word.append(Literal(char, False))
                self.pos += 1
        return word

    def _double_quoted(self, word: Word) -> None:
        text = self.text
        word.append(Literal("", True))
        while self.pos < len(text):
            plain = _PLAIN_QUOTED.match(text, self.pos)
            if plain:
                word.append(Literal(plain.group(), True))
                self.pos = plain.end()
                continue
            char = text[self.pos]
            if char == '"':
                self.pos += 1
                return
            if char == "\\" and text[self.pos + 1 : self.pos + 2] in ("$", "`", '"', "\\", "\n"):
                if text[self.pos + 1] != "\n":
                    word.append(Literal(text[self.pos + 1], True))
                self.pos += 2
            elif char == "$":
                word.append(self._dollar(True))
            elif char == "`":
                raise ShellSyntaxError("` is not supported by this sandbox: use $( )")
            else:  # a backslash before an ordinary character
                word.append(Literal(char, True))
                self.pos += 1
        raise ShellSyntaxError("Unterminated quoted string")

    def _dollar(self, quoted: bool) -> Literal | Parameter | Substitution:
        text = self.text
        rest = self.pos + 1
        if text.startswith("((", rest):
            raise ShellSyntaxError("$(( )) is not supported by this sandbox")
        if text.startswith("(", rest):
            inner = _Parser(text, rest + 1)
            body = inner.list_({")"})
            if inner.take().text != ")":
                raise ShellSyntaxError('end of file unexpected (expecting ")")')
            self.pos = inner.pos
            return Substitution(body, quoted)
        if text.startswith("{", rest):
            return self._braced(rest + 1, quoted)
        match = _PARAMETER.match(text, rest)
        if not match:
            self.pos = rest
            return Literal("$", True)
        self.pos = match.end()
        return Parameter(match.group(), quoted)

    def _braced(self, start: int, quoted: bool) -> Parameter:
        match = _PARAMETER.match(self.text, start)
        if not match:
            raise ShellSyntaxError("Bad substitution")
        operator = re.compile(r"(:?-)|\}").match(self.text, match.end())
        if not operator:
            raise ShellSyntaxError("${ } with this operator is not supported by this sandbox")
        self.pos = operator.end()
        if operator.group() == "}":
            return Parameter(match.group(), quoted)
        end = self.text.find("}", self.pos)
        if end < 0:
            raise ShellSyntaxError("Missing '}'")
        default: Word = [Literal(self.text[self.pos : end], quoted)]
        if set(self.text[self.pos : end]) & set("'\"\\$`{"):
            raise ShellSyntaxError("this default in ${ } is not supported by this sandbox")
        self.pos = end + 1
        return Parameter(match.group(), quoted, default, operator.group(1) == ":-")

    # -- grammar

    def list_(self, closers: set[str]) -> List:
        """Commands until one of `closers`, which stays."""
        result: List = []
        self._newlines()
        while True:
            token = self.peek()
            if token.kind == "end" or token.text in closers:
                return result
            result.append(self._and_or())
            token = self.peek()
            if token.kind == "newline" or token.text == ";":
                self.take()
                self._newlines()
            elif token.kind == "op" and token.text == "&":
                raise ShellSyntaxError("& (background) is not supported by this sandbox")
            elif token.kind != "end" and token.text not in closers:
                raise self._unexpected(token)

    def _newlines(self) -> None:
        while self.peek().kind == "newline":
            self.take()

    def _and_or(self) -> AndOr:
        first = self._pipeline()
        rest: list[tuple[str, Pipeline]] = []
        while self.peek().kind == "op" and self.peek().text in ("&&", "||"):
            op = self.take().text
            self._newlines()
            rest.append((op, self._pipeline()))
        return AndOr(first, rest)

    def _pipeline(self) -> Pipeline:
        negated = False
        while self.peek().kind == "word" and self.peek().text == "!":
            self.take()
            negated = not negated
        commands = [self._command()]
        while self.peek().kind == "op" and self.peek().text == "|":
            self.take()
            self._newlines()
            commands.append(self._command())
        return Pipeline(commands, negated)

    def _command(self) -> Command:
        token = self.peek()
        command: Command
        if token.kind == "op" and token.text == "(":
            self.take()
            command = Group(self._body(")"), True)
        elif token.kind == "word" and token.text == "{":
            self.take()
            command = Group(self._body("}"), False)
        elif token.kind == "word" and token.text == "if":
            self.take()
            command = self._if()
        elif token.kind == "word" and token.text == "for":
            self.take()
            command = self._for()
        elif token.kind == "word" and token.text in _UNSUPPORTED:
            raise ShellSyntaxError(f"{token.text} is not supported by this sandbox")
        elif token.kind == "word" and token.text in _CLOSERS:
            raise self._unexpected(token)
        else:
            return self._simple()
        while (redirect := self._redirect()) is not None:
            command.redirects.append(redirect)
        return command

    def _body(self, closer: str) -> List:
        body = self.list_({closer})
        if not body:
            raise self._unexpected(self.peek())
        self._expect(closer)
        return body

    def _expect(self, text: str) -> None:
        token = self.take()
        if token.text != text:
            raise ShellSyntaxError(f'{self._name(token)} unexpected (expecting "{text}")')

    def _if(self) -> If:
        branches: list[tuple[List, List]] = []
        while True:
            condition = self.list_({"then"})
            self._expect("then")
            branches.append((condition, self.list_({"elif", "else", "fi"})))
            token = self.take()
            if token.text == "elif":
                continue
            if token.text == "else":
                otherwise = self.list_({"fi"})
                self._expect("fi")
                return If(branches, otherwise)
            if token.text == "fi":
                return If(branches, None)
            raise ShellSyntaxError(f'{self._name(token)} unexpected (expecting "fi")')

    def _for(self) -> For:
        name = self.take().text
        if not NAME.fullmatch(name):
            raise ShellSyntaxError("Bad for loop variable")
        self._expect("in")
        words: list[Word] = []
        while self.peek().kind == "word":
            words.append(self.take().word)
        if self.peek().text not in (";", "newline"):
            raise self._unexpected(self.peek())
        self.take()
        self._newlines()
        self._expect("do")
        body = self.list_({"done"})
        self._expect("done")
        return For(name, words, body)

    def _redirect(self) -> Redirect | None:
        token = self.peek()
        if token.kind != "op" or not token.text.startswith(("<", ">")):
            return None
        if token.text not in _REDIRECTS:
            raise ShellSyntaxError(f"{token.text} is not supported by this sandbox")
        self.take()
        target = self.take()
        if target.kind != "word":
            raise self._unexpected(target)
        fd = token.io_number
        return Redirect(
            (0 if token.text[0] == "<" else 1) if fd is None else fd, token.text, target.word
        )

    def _simple(self) -> Simple:
        command = Simple()
        while True:
            redirect = self._redirect()
            if redirect is not None:
                command.redirects.append(redirect)
                continue
            token = self.peek()
            if token.kind != "word":
                break
            match = re.match(r"([A-Za-z_][A-Za-z0-9_]*)=", token.text)
            self.take()
            if match and not command.words:
                command.assignments.append((match.group(1), token.word[2:]))
            else:
                command.words.append(token.word)
        if not (command.words or command.assignments or command.redirects):
            raise self._unexpected(self.peek())
        return command

    @staticmethod
    def _name(token: _Token) -> str:
        return token.text if token.kind in ("end", "newline") else f'"{token.text}"'

    def _unexpected(self, token: _Token) -> ShellSyntaxError:
        if token.kind == "op" and token.text == "(":
            return ShellSyntaxError('"(" unexpected: functions are not supported by this sandbox')
        return ShellSyntaxError(f"{self._name(token)} unexpected")


def parse(script: str) -> List:
    """The script's commands; raises ShellSyntaxError."""
    parser = _Parser(script)
    commands = parser.list_(set())
    token = parser.take()
    if token.kind != "end":
        raise parser._unexpected(token)
    return commands
