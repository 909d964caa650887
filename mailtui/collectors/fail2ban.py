"""fail2ban's jails and bans, host by host, by `fail2ban-client` (needs root)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from mailtui.collectors import fail2ban_parse as parse
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.connections.runner import SUDOERS_HINT, Command, Completed, command
from mailtui.model import clock
from mailtui.model.bans import Ban, BanReport, Jail

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.config.sources.fail2ban import Settings
    from mailtui.connections.pool import Connections
    from mailtui.connections.runner import Runner

SETTINGS_EVERY = 30
"""Reads between looks at a jail's times and limits, which seldom change."""
_OWN = ("bantime", "findtime", "maxretry")


class _Known(msgspec.Struct):
    """What is remembered of one jail between reads."""

    addresses: str = ""
    offset: int | None = None
    bans: tuple[Ban, ...] = ()
    settings: dict[str, int | None] = {}
    age: int = 0
    """Reads since `settings` were read."""


class Fail2banCollector:
    """Reads the fail2ban of one host.

    Each fail2ban-client is a Python start on the host, so the times of a jail's bans are asked
    for only when its addresses changed.
    """

    source: ClassVar[str] = "fail2ban"
    overview: ClassVar[bool] = True

    def __init__(
        self, host: str, settings: Settings, connections: Connections, *, expected: bool = True
    ) -> None:
        self.target = host
        self.interval = settings.interval
        self.timeout = settings.timeout + 1.0
        self._settings = settings
        self._connections = connections
        self._expected = expected
        self._version = ""
        self._known: dict[str, _Known] = {}

    async def read(self) -> BanReport:
        """Jails and bans. Raises SourceError: auth without root, server if it is down."""
        runner = self._connections.runner(self.target)
        asked = [_client("status"), command("date", "+%z")]
        if not self._version:
            asked.append(_client("version"))
        status, zone, *version = await runner.batch(asked, timeout=self._settings.timeout)
        names = parse.jails(self._checked(status))
        if version and version[0].status == 0:
            self._version = version[0].stdout.strip()
        offset = parse.utc_offset(zone.stdout)
        return await self._read_jails(runner, names, offset)

    async def close(self) -> None:
        """Nothing of its own is open."""

    async def _read_jails(self, runner: Runner, names: list[str], offset: int | None) -> BanReport:
        self._known = {name: self._known.get(name, _Known()) for name in names}
        due = [name for name, known in self._known.items() if known.age % SETTINGS_EVERY == 0]
        asked = [_client("status", name) for name in names]
        asked += [_client("get", name, what) for name in due for what in _OWN]
        done = await runner.batch(asked, timeout=self._settings.timeout) if asked else []
        statuses, settings = done[: len(names)], done[len(names) :]
        for n, name in enumerate(due):
            self._known[name].settings = {
                what: parse.number(answer.stdout.strip()) if answer.status == 0 else None
                for what, answer in zip(_OWN, settings[n * 3 : n * 3 + 3], strict=True)
            }
        fields: dict[str, dict[str, str]] = {}
        for name, answer in zip(names, statuses, strict=True):
            self._known[name].age += 1
            # a jail that stopped since the list was made is no error of the rest
            if answer.status == 0:
                fields[name] = parse.fields(answer.stdout)
        await self._read_bans(runner, fields, offset)
        jails = [self._jail(name, found) for name, found in fields.items()]
        bans = [ban for name in fields for ban in self._known[name].bans]
        return BanReport(
            version=self._version,
            jails=tuple(jails),
            bans=tuple(bans[: self._settings.limit]),
            total=len(bans),
        )

    async def _read_bans(
        self, runner: Runner, fields: dict[str, dict[str, str]], offset: int | None
    ) -> None:
        changed = []
        for name, found in fields.items():
            known = self._known[name]
            addresses = found.get("Banned IP list", "")
            if addresses != known.addresses or offset != known.offset or self._over(known):
                changed.append(name)
                known.addresses, known.offset = addresses, offset
        asked = [_client("get", name, "banip", "--with-time") for name in changed]
        done = await runner.batch(asked, timeout=self._settings.timeout) if asked else []
        for name, answer in zip(changed, done, strict=True):
            known = self._known[name]
            if answer.status:
                known.bans, known.addresses = (), "?"  # ask again next time
                continue
            known.bans = tuple(parse.bans(self.target, name, answer.stdout, offset))

    def _over(self, known: _Known) -> bool:
        """True if a ban that is still listed ended by our book: it was renewed meanwhile."""
        now = clock.now()
        return any(ban.expires_at is not None and ban.expires_at <= now for ban in known.bans)

    def _jail(self, name: str, found: dict[str, str]) -> Jail:
        settings = self._known[name].settings
        return Jail(
            host=self.target,
            name=name,
            currently_failed=parse.number(found.get("Currently failed")),
            total_failed=parse.number(found.get("Total failed")),
            currently_banned=parse.number(found.get("Currently banned")),
            total_banned=parse.number(found.get("Total banned")),
            ban_time=settings.get("bantime"),
            find_time=settings.get("findtime"),
            max_retry=settings.get("maxretry"),
        )

    def _checked(self, answer: Completed) -> str:
        words = parse.reason(answer.stderr)
        if "Failed to access socket" in words:
            if not self._expected:
                raise ToolMissing(
                    "fail2ban-client", self.target, f"fail2ban does not run on {self.target}"
                )
            raise SourceError(
                "server",
                f"{self.target}: fail2ban does not run: nothing is banned any more",
                "start it there (systemctl start fail2ban) and read its log",
            )
        if "Permission denied to socket" in words or "must be root" in words:
            raise SourceError("auth", f"{self.target}: fail2ban-client needs root", SUDOERS_HINT)
        if words.startswith("sudo:") and not self._expected and not answer.missing:
            # sudo refuses a program that is not there as it refuses one that is not allowed
            raise ToolMissing(
                "fail2ban-client",
                self.target,
                f"no fail2ban-client on {self.target} that sudo lets us run",
            )
        if answer.status and words and not answer.missing and not words.startswith("sudo:"):
            raise SourceError("server", f"{self.target}: fail2ban: {words}")
        return answer.check()


def _client(*argv: str) -> Command:
    return command("fail2ban-client", *argv, root=True)


def collectors(context: Context, connections: Connections) -> list[Fail2banCollector]:
    """One for each host; a host without fail2ban says so by itself."""
    from mailtui.config.sources import fail2ban, hosts

    settings = context.source("fail2ban", fail2ban.Settings)
    if settings is None:
        return []
    roles = context.source("hosts", hosts.Settings) or hosts.Settings()
    return [
        Fail2banCollector(name, settings, connections, expected=roles.runs(host.roles, "fail2ban"))
        for name, host in context.hosts.items()
    ]
