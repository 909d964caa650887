"""`mailtui operator …`: who may use the console, and his second factor."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from mailtui.headless import exits

if TYPE_CHECKING:
    from mailtui.access.roles import Grant
    from mailtui.headless.office import Office

ACTIONS = {
    "list": "who may do what, and who has a second factor",
    "add": "a new operator: a system user and a role; the first is made by anybody, and an admin",
    "grant": "one more role, or one with other limits",
    "revoke": "take a role back",
    "disable": "he may do nothing; his roles stay",
    "enable": "take disable back",
    "reset": "forget his second factor (a lost phone); he enrolls anew",
    "enroll": "your own second factor, or a new phone instead of the old one",
    "codes": "ten new recovery codes of your own, instead of those that are left",
}
_ROLED = ("add", "grant", "revoke")
_OWN = ("enroll", "codes")


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    verb = verbs.add_parser(
        "operator",
        parents=[options],
        help="who may act, and second factors: list, add, grant, revoke, enroll, disable …",
        description="; ".join(f"{name}: {words}" for name, words in ACTIONS.items()) + ". "
        "With add, grant and revoke, --context NAME limits the role to that context.",
    )
    verb.add_argument("action", metavar="ACTION", choices=ACTIONS, help=", ".join(ACTIONS))
    verb.add_argument("name", metavar="NAME", nargs="?", help="the operator: a system user")
    verb.add_argument(
        "--role", metavar="ROLE", help="add, grant, revoke: viewer, helpdesk, operator or admin"
    )
    verb.add_argument("--tenant", metavar="T", help="add, grant, revoke: only for this tenant")
    verb.add_argument(
        "--elsewhere", action="store_true", help="add: the user exists on another machine only"
    )
    verb.add_argument(
        "--code-stdin",
        action="store_true",
        help="read codes of the second factor from standard input, one a line",
    )
    verb.add_argument(
        "-o", "--output", metavar="FORMAT", choices=("table", "json"), default="table",
        help="list: table or json",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Do it; 77 if the one who runs it may not."""
    from mailtui.headless import session, text

    _check(args)
    text.prepare(sys.stdout, exact=args.output == "json")
    work = _list if args.action == "list" else _own if args.action in _OWN else _change
    return session.run(work(args))


def _check(args: argparse.Namespace) -> None:
    """Raises Refused: options that are missing, or mean nothing here."""
    from mailtui.headless.errors import Refused

    action = args.action
    if getattr(args, "demo", False):
        raise Refused("the demo has no operators; leave --demo away")
    if action in ("list", *_OWN) and args.name is not None:
        raise Refused(f"operator {action} takes no NAME" + (": it is yours" * (action in _OWN)))
    if action not in ("list", *_OWN) and args.name is None:
        raise Refused(f"operator {action} needs a NAME")
    if action in _ROLED and args.role is None:
        from mailtui.access.roles import ROLES

        raise Refused(f"operator {action} needs --role, one of {', '.join(ROLES)}")
    if action not in _ROLED and (args.role is not None or args.tenant is not None):
        raise Refused("--role and --tenant belong to add, grant and revoke")
    if action not in _ROLED and getattr(args, "context", None) is not None:
        raise Refused("--context limits a role: it belongs to add, grant and revoke")
    if args.elsewhere and action != "add":
        raise Refused("--elsewhere belongs to add")


def _nobody() -> Exception:
    from mailtui.access.whoami import whoami
    from mailtui.headless.errors import Refused

    return Refused(
        "there are no operators yet; the first is made by: "
        f"mailtui operator add {whoami().name} --role admin"
    )


async def _list(args: argparse.Namespace) -> int:
    from mailtui.headless import operator_text
    from mailtui.headless.office import office_of

    async with office_of(args) as office:
        found = await office.operators.all() if office is not None else []
        where = office.database.where if office is not None else ""
    if args.output == "json":
        operator_text.print_json(found, where)
    elif found:
        operator_text.print_table(found)
    else:
        _note(str(_nobody()))
    return exits.OK


async def _change(args: argparse.Namespace) -> int:
    from mailtui.headless.office import office_of

    async with office_of(args) as office:
        if office is None:
            raise _nobody()
        grant = _grant(args, office)
        if args.action == "add":
            _known_user(args)
        await _prove(args, office)
        operators = office.operators
        work: dict[str, Callable[[], Awaitable[Any]]] = {
            "add": lambda: operators.add(office.who, args.name, grant),
            "grant": lambda: operators.grant(office.who, args.name, grant),
            "revoke": lambda: operators.revoke(office.who, args.name, grant),
            "disable": lambda: operators.disable(office.who, args.name),
            "enable": lambda: operators.enable(office.who, args.name),
            "reset": lambda: operators.reset(office.who, args.name),
        }
        operator = await work[args.action]()
        state = "disabled, " if operator.disabled else ""
        factor = "has a second factor" if operator.enrolled else "has no second factor"
        print(f"{operator.name}: {state}{operator.words()}, {factor}")
        if not operator.enrolled and office.access.second_factor and args.action != "disable":
            _note(f"{operator.name} makes one with: mailtui operator enroll")
    return exits.OK


def _grant(args: argparse.Namespace, office: Office) -> Grant:
    from mailtui.access.roles import Grant
    from mailtui.headless.errors import Refused

    context = getattr(args, "context", None) or ""
    if context and args.action != "revoke" and context not in office.contexts:
        known = ", ".join(office.contexts)
        hint = f"expected one of {known}" if known else "there is no configuration that names any"
        raise Refused(f"there is no context {context!r}; {hint}")
    return Grant(args.role or "", args.tenant or "", context)


def _known_user(args: argparse.Namespace) -> None:
    from mailtui.access.whoami import is_system_user
    from mailtui.headless.errors import Refused

    if not args.elsewhere and not is_system_user(args.name):
        raise Refused(
            f"this machine has no user {args.name!r}; --elsewhere, if another that shares the "
            "operators has"
        )


async def _prove(args: argparse.Namespace, office: Office) -> None:
    """A code of the one who changes operators, if he has a second factor. Raises Refused."""
    from mailtui.headless import consent
    from mailtui.headless.errors import Refused

    me = await office.operators.get(office.who.name)
    if me is None or not office.access.second_factor or not me.may("operator.manage", None, ""):
        return  # `Operators` refuses, and writes that to the journal
    if not me.enrolled:
        _note("you change operators without a second factor: mailtui operator enroll")
        return
    verdict = await office.factor.check(me.name, await consent.code_of(args))
    if not verdict:
        await office.operators.note(
            office.who, args.action, args.name, refused=f"second factor: {verdict.words}"
        )
        raise Refused(verdict.words, exits.NO_PERMISSION)
    if verdict.words:
        _note(verdict.words)


async def _own(args: argparse.Namespace) -> int:
    from mailtui.headless import operator_enroll
    from mailtui.headless.office import office_of

    async with office_of(args) as office:
        if office is None:
            raise _nobody()
        if args.action == "codes":
            return await operator_enroll.renew(args, office)
        return await operator_enroll.enroll(args, office)


def _note(words: str) -> None:
    from mailtui.headless.errors import say

    say("operator", words)
