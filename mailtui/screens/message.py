"""One message: envelope, recipients with their reasons, headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from mailtui.connections.errors import SourceError
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.mail import Message

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp


class MessageDetail(ModalScreen[None]):
    """What postqueue and postcat say of one message."""

    DEFAULT_CSS = """
    MessageDetail { align: center middle; }
    MessageDetail VerticalScroll {
        width: 94%; max-width: 130; height: 88%;
        border: round $primary; padding: 0 2; background: $surface;
    }
    MessageDetail Static { height: auto; }
    """
    BINDINGS = [("escape,q", "dismiss", "Close"), ("y", "copy", "Copy")]

    def __init__(self, message: Message) -> None:
        super().__init__()
        self._message = message
        self._headers = ""

    def compose(self) -> ComposeResult:
        """The listing's facts at once; the headers when the host has answered."""
        box = VerticalScroll()
        box.border_title = Text(f"{self._message.queue_id} on {self._message.host}")
        box.border_subtitle = "y copies · Escape closes"
        with box:
            yield Static(self._facts())
            yield Static("\nreading the headers…", id="headers", markup=False)

    def on_mount(self) -> None:
        """Ask the host for envelope and headers."""
        self.query_one(VerticalScroll).focus()
        self.run_worker(self._read(), exit_on_error=False)

    async def _read(self) -> None:
        from mailtui.collectors.postfix import PostfixCollector

        message = self._message
        platform = cast("ConsoleApp", self.app).platform
        collector = (
            platform.find(PostfixCollector, lambda c: c.target == message.host)
            if platform is not None
            else None
        )
        label = self.query_one("#headers", Static)
        if collector is None:
            label.update("\nthis host is not in the configuration")
            return
        try:
            found = await collector.describe(message.queue_id)
        except SourceError as error:
            label.update(Text(f"\nthe headers could not be read: {error}"))
            return
        self._headers = found.text
        more = "\n… more than was read" if found.truncated else ""
        label.update(Text(f"\n{found.text}{more}"))

    def _facts(self) -> Text:
        message = self._message
        age = fmt.age(clock.now() - message.arrival_time)
        text = Text()
        for name, value in (
            (
                "queue",
                message.queue_name + (" (expires by force)" if message.forced_expire else ""),
            ),
            ("host", message.host),
            ("arrived", f"{fmt.date_time(message.arrival_time)}, {age} ago"),
            ("size", f"{fmt.size(message.message_size)}B ({fmt.count(message.message_size)})"),
            ("sender", message.sender or "MAILER-DAEMON (a bounce)"),
        ):
            text.append(f"{name:<12}", style="bold")
            text.append(f"{value}\n")
        kept = len(message.recipients)
        of = (
            f" (the first {kept} of {message.recipient_count:,})"
            if kept < message.recipient_count
            else ""
        )
        noun = "recipient" if message.recipient_count == 1 else "recipients"
        text.append(f"\n{message.recipient_count:,} {noun}{of}\n", style="bold")
        for recipient in message.recipients:
            text.append(f"  {recipient.address}\n")
            if recipient.delay_reason:
                text.append(f"      {recipient.delay_reason}\n", style="dim")
        return text

    def action_copy(self) -> None:
        """Copy everything on this screen."""
        self.app.copy_to_clipboard(f"{self._facts().plain}\n{self._headers}")
        self.notify("copied", timeout=2)
