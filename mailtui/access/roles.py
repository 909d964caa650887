"""What a role may do, and how far an operator's grants reach. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

ROLES = ("viewer", "helpdesk", "operator", "admin")
"""From the least to the most; each may also do what those before it may."""

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "viewer": ("journal.read",),
    "helpdesk": ("mail.requeue", "mail.flush"),
    "operator": ("mail.*", "broker.*", "plan.approve"),
    "admin": ("*",),
}
"""Role → what it adds to the role before it, as patterns (`mail.*`). The one table: an operation
with a new permission word needs no line here if a pattern has it, and is an admin's if none has."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, everywhere or within limits."""

    role: str
    tenant: str = ""
    """Only targets of this tenant; empty: all, also those of no tenant."""
    context: str = ""
    """Only in the context of this name; empty: in all."""

    def covers(self, context: str | None) -> bool:
        """True if it holds in `context`; None asks for everywhere."""
        return not self.context or self.context == context

    @property
    def words(self) -> str:
        """`operator for tenant acme on prod`."""
        tenant = f" for tenant {self.tenant}" if self.tenant else ""
        return f"{self.role}{tenant}{f' on {self.context}' if self.context else ''}"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed; true and false as a boolean."""

    allowed: bool
    why: str = ""
    """If not: a sentence that names the role that may."""

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who uses the console."""

    name: str
    """The system user."""
    grants: tuple[Grant, ...] = ()
    enrolled: bool = False
    """He has a second factor."""
    disabled: bool = False
    created_at: float = 0.0
    """Epoch seconds."""
    last_seen: float | None = field(default=None, compare=False)
    """Epoch seconds; None: never."""

    @property
    def is_admin(self) -> bool:
        """True for an enabled admin without limits: one who may manage operators."""
        return not self.disabled and any(
            grant.role == "admin" and not grant.tenant and not grant.context
            for grant in self.grants
        )

    def may(
        self, permission: str, context: str | None = None, tenant: str | None = None
    ) -> Decision:
        """Whether he may do `permission`, in `context` (None: everywhere), to a target of `tenant`.

        `tenant` is None where no target is meant yet (any will do: `tenant_scope` says which),
        and empty for a target that belongs to no tenant.
        """
        if self.disabled:
            return Decision(False, f"{self.name} is disabled: mailtui operator enable {self.name}")
        able = [g for g in self.grants if permission in reach(g.role)]
        here = [g for g in able if g.covers(context)]
        if any(tenant is None or g.tenant in ("", tenant) for g in here):
            return Decision(True)
        return Decision(False, self._why_not(permission, context, tenant, (able, here)))

    def tenant_scope(self, permission: str, context: str | None = None) -> frozenset[str] | None:
        """Tenants whose targets he may do it to; None: all targets; empty: none at all."""
        if self.disabled:
            return frozenset()
        here = [g for g in self.grants if permission in reach(g.role) and g.covers(context)]
        if any(not g.tenant for g in here):
            return None
        return frozenset(g.tenant for g in here)

    def words(self, context: str | None = None) -> str:
        """His grants that hold in `context` (None: all of them), in words."""
        return _listed([g for g in self.grants if context is None or g.covers(context)])

    def _why_not(
        self,
        permission: str,
        context: str | None,
        tenant: str | None,
        grants: tuple[list[Grant], list[Grant]],
    ) -> str:
        able, here = grants
        need = least_role(permission)
        ask = f"an admin grants it: mailtui operator grant {self.name} --role {need}"
        if here:
            target = f"tenant {tenant}" if tenant else "no tenant"
            return f"{permission}: {self.name} is {_listed(here)}, and this is of {target}; {ask}"
        if able:
            place = f"on {context}" if context else "everywhere"
            return f"{permission}: {self.name} is {_listed(able)}, not {place}; {ask}"
        mine = [g for g in self.grants if g.covers(context)]
        return f"{permission} needs the role {need}, and {self.name} is {_listed(mine)}; {ask}"


@dataclass(frozen=True, slots=True)
class Reach:
    """The permissions of a role, as patterns: `"mail.hold" in reach("operator")`."""

    patterns: tuple[str, ...]

    def __contains__(self, permission: str) -> bool:
        return any(fnmatchcase(permission, pattern) for pattern in self.patterns)


def _reaches() -> dict[str, Reach]:
    found, patterns = {}, ()  # type: dict[str, Reach], tuple[str, ...]
    for role in ROLES:
        patterns = (*patterns, *PERMISSIONS[role])
        found[role] = Reach(patterns)
    return found


_REACHES = _reaches()
_NOTHING = Reach(())


def reach(role: str) -> Reach:
    """What a role may do; nothing for a role that this version does not know."""
    return _REACHES.get(role, _NOTHING)


def least_role(permission: str) -> str:
    """The least role that may do it."""
    return next(role for role in ROLES if permission in reach(role))


def _listed(grants: list[Grant]) -> str:
    return ", ".join(grant.words for grant in grants) or "nothing there"
