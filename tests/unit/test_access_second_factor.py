"""The second factor: clocks, no code twice, guessing, recovery codes, secrets at rest."""

from __future__ import annotations

import asyncio
import base64
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pyotp
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtui.access import recovery, schema, totp
from mailtui.access.database import Database
from mailtui.access.enrolment import Enrolment
from mailtui.access.errors import AccessError
from mailtui.access.operators import Operators
from mailtui.access.roles import Grant
from mailtui.access.second_factor import SecondFactor
from mailtui.config import revealed
from mailtui.config.access import Access
from mailtui.config.secrets import Secret
from mailtui.model import clock
from tests.unit.accessing import (  # noqa: F401
    ALICE,
    access_fixture,
    database_fixture,
    operators_fixture,
    sqlite,
)

NOON = 1_800_000_000.0
"""The beginning of a step."""


class Wall:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="wall")
def wall_fixture() -> Iterator[Wall]:
    wall = Wall()
    clock.set_clock(wall)
    yield wall
    clock.set_clock(None)


class Phone:
    """An authenticator app."""

    def __init__(self, enrolment: Enrolment, wall: Wall, codes: tuple[str, ...] = ()) -> None:
        self._totp, self.wall, self.codes = pyotp.parse_uri(enrolment.uri), wall, codes

    def code(self, drift: float = 0.0) -> str:
        """What it shows now if its clock is `drift` seconds ahead."""
        assert isinstance(self._totp, pyotp.TOTP)
        return self._totp.at(int(self.wall.now + drift))

    def wrong(self) -> str:
        """A code of no time around now."""
        near = {self.code(30.0 * n) for n in range(-12, 13)}
        return next(code for n in range(100) if (code := f"{n:06d}") not in near)


@pytest.fixture(name="factor")
def factor_fixture(operators: Operators, database: Database, access: Access) -> SecondFactor:
    return SecondFactor(database, access)


@pytest.fixture(name="phone")
async def phone_fixture(factor: SecondFactor, wall: Wall) -> AsyncIterator[Phone]:
    """alice's, enrolled a minute ago."""
    enrolment = await factor.begin("alice", "jump1")
    codes = await factor.confirm(enrolment, Phone(enrolment, wall).code())
    wall.now += 60
    yield Phone(enrolment, wall, codes)


# --- enrolment ---


async def test_a_secret_counts_only_after_a_code_of_it(
    factor: SecondFactor, operators: Operators, wall: Wall
) -> None:
    enrolment = await factor.begin("alice", "jump1")
    phone = Phone(enrolment, wall)
    assert not (await factor.state("alice")).enrolled
    for wrong in (phone.wrong(), "", "12345", "abcdef"):
        with pytest.raises(AccessError):
            await factor.confirm(enrolment, wrong)
    with pytest.raises(AccessError, match="about 90 s behind"):
        await factor.confirm(enrolment, phone.code(-90))
    assert not (await factor.state("alice")).enrolled
    codes = await factor.confirm(enrolment, phone.code())
    assert len(set(codes)) == recovery.COUNT
    alice = await operators.get("alice")
    assert alice is not None
    assert alice.enrolled
    assert (await factor.state("alice")).recovery_left == recovery.COUNT
    # the code that confirmed it is used
    assert "used already" in (await factor.check("alice", phone.code())).words


async def test_what_the_phone_is_told(factor: SecondFactor) -> None:
    enrolment = await factor.begin("alice", "jump1")
    assert enrolment.uri.startswith("otpauth://totp/mailtui:alice%40jump1?secret=")
    assert enrolment.uri.endswith("&issuer=mailtui")
    assert enrolment.groups.replace(" ", "") == enrolment.secret
    assert len(base64.b32decode(enrolment.secret)) == 20
    assert enrolment.secret not in repr(enrolment)
    assert revealed.mask(f"a {enrolment.secret}") == "a [secret]"


async def test_a_new_phone_needs_a_code_of_the_old_one(
    factor: SecondFactor, phone: Phone, wall: Wall
) -> None:
    for wrong in ("", phone.wrong()):
        with pytest.raises(AccessError) as refused:
            await factor.begin("alice", "jump1", wrong)
        assert refused.value.kind == "permission"
    enrolment = await factor.begin("alice", "jump1", phone.code())
    wall.now += 30
    assert await factor.check("alice", phone.code())  # the old one until the new one is confirmed
    new = Phone(enrolment, wall)
    await factor.confirm(enrolment, new.code())
    wall.now += 30
    assert not await factor.check("alice", phone.code())
    assert not await factor.check("alice", phone.codes[0])
    assert await factor.check("alice", new.code())


async def test_of_two_enrolments_at_once_the_first_confirmed_counts(
    factor: SecondFactor, wall: Wall
) -> None:
    one, two = [await factor.begin("alice", "jump1") for _ in range(2)]
    await factor.confirm(one, Phone(one, wall).code())
    with pytest.raises(AccessError, match="changed meanwhile"):
        await factor.confirm(two, Phone(two, wall).code())


async def test_who_has_no_second_factor(
    factor: SecondFactor, operators: Operators, phone: Phone
) -> None:
    assert "bob has no second factor" in (await factor.check("bob", "123456")).words
    with pytest.raises(AccessError, match="eve is no operator"):
        await factor.begin("eve", "jump1")
    await operators.grant(ALICE, "bob", Grant("admin"))
    await operators.disable(ALICE, "bob")
    with pytest.raises(AccessError, match="bob is disabled"):
        await factor.begin("bob", "jump1")


async def test_a_reset_forgets_everything(
    factor: SecondFactor, operators: Operators, phone: Phone
) -> None:
    for _ in range(3):
        await factor.check("alice", phone.wrong())
    assert (await factor.state("alice")).locked_until
    await operators.reset(ALICE, "alice")
    assert not (await factor.state("alice")).enrolled
    assert "no second factor" in (await factor.check("alice", phone.codes[0])).words
    enrolment = await factor.begin("alice", "jump1")
    await factor.confirm(enrolment, Phone(enrolment, phone.wall).code())


# --- clocks ---


async def test_half_a_minute_of_drift_passes_and_one_and_a_half_do_not(
    factor: SecondFactor, phone: Phone
) -> None:
    for offset in (0, 1, 15, 29):
        for drift in (-90, -30, 0, 30, 90):
            phone.wall.now += 600
            phone.wall.now += offset - phone.wall.now % totp.STEP
            verdict = await factor.check("alice", phone.code(drift))
            assert bool(verdict) == (abs(drift) <= 30), (offset, drift)
            if not verdict:
                side = "ahead of" if drift > 0 else "behind"
                assert f"about 90 s {side} this machine's" in verdict.words


async def test_a_drift_is_named_up_to_five_minutes(factor: SecondFactor, phone: Phone) -> None:
    assert "about 300 s ahead" in (await factor.check("alice", phone.code(300))).words
    assert (await factor.check("alice", phone.code(330))).words.startswith("this is not the code")


async def test_a_code_that_was_called_right_early_is_not_accepted_at_its_time(
    factor: SecondFactor, phone: Phone
) -> None:
    early = phone.code(90)
    assert not await factor.check("alice", early)
    phone.wall.now += 90
    assert phone.code() == early
    assert "used already" in (await factor.check("alice", early)).words
    phone.wall.now += 30
    assert await factor.check("alice", phone.code())


# --- no code twice ---


async def test_no_code_twice_and_none_before_an_accepted_one(
    factor: SecondFactor, phone: Phone
) -> None:
    assert await factor.check("alice", f"{phone.code()[:3]} {phone.code()[3:]}")
    again = await factor.check("alice", phone.code())
    assert not again
    assert "used already" in again.words
    assert not await factor.check("alice", phone.code(-30))
    assert await factor.check("alice", phone.code(30))
    assert not await factor.check("alice", phone.code())


async def test_of_many_tasks_with_one_code_one_is_accepted(
    database: Database, phone: Phone, tmp_path: Path, access: Access
) -> None:
    many = access.model_copy(update={"attempts": 50})
    both = [SecondFactor(database, many), SecondFactor(await Database.open(many), many)]
    verdicts = await asyncio.gather(*(both[n % 2].check("alice", phone.code()) for n in range(12)))
    assert sum(map(bool, verdicts)) == 1


CHECK = """
import asyncio, json, sys
from mailtui.access.database import Database
from mailtui.access.second_factor import SecondFactor
from mailtui.config.access import Access
from mailtui.model import clock

async def main(settings, code, now):
    clock.set_clock(lambda: now)
    access = Access.model_validate(json.loads(settings))
    factor = SecondFactor(await Database.open(access), access)
    await factor.key()
    print("ready", flush=True)
    sys.stdin.readline()
    print(bool(await factor.check("alice", code)), flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
"""


@pytest.mark.parametrize("kind", ["phone", "recovery"])
async def test_of_two_processes_with_one_code_one_is_accepted(
    access: Access, phone: Phone, kind: str
) -> None:
    code = phone.code() if kind == "phone" else phone.codes[3]
    argv = [sys.executable, "-c", CHECK, access.model_dump_json(), code, str(phone.wall.now)]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = sorted(process.communicate()[0] for process in both)
    assert said == ["False\n", "True\n"]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 70), st.integers(-2, 2)), min_size=4, max_size=12))
def test_accepted_codes_are_of_ever_later_times(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, int]]
) -> None:
    """However the clock goes and whichever code is typed."""
    access = sqlite(tmp_path_factory.mktemp("codes"), attempts=100)

    async def play() -> None:
        wall = Wall()
        clock.set_clock(wall)
        database = await Database.open(access)
        factor = SecondFactor(database, access)
        await Operators(database).add(ALICE, "alice", Grant("admin"))
        enrolment = await factor.begin("alice", "jump1")
        await factor.confirm(enrolment, Phone(enrolment, wall).code())
        accepted, told = [totp.step_at(wall.now)], -1
        for forward, steps in moves:
            wall.now += forward
            step = totp.step_at(wall.now) + steps
            right = abs(steps) <= 1 and step > accepted[-1] and step != told
            verdict = await factor.check("alice", Phone(enrolment, wall).code(30.0 * steps))
            assert bool(verdict) == right
            if right:
                accepted.append(step)
            elif abs(steps) > 1:
                told = step
        assert accepted == sorted(set(accepted))

    try:
        asyncio.run(play())
    finally:
        clock.set_clock(None)


# --- guessing ---


async def test_after_some_wrong_codes_none_is_taken_for_a_while(
    factor: SecondFactor, phone: Phone, database: Database, access: Access
) -> None:
    words = [(await factor.check("alice", phone.wrong())).words for _ in range(3)]
    assert words[0].endswith("2 more tries")
    assert words[1].endswith("1 more try")
    assert "none is taken until" in words[2]
    # the right one neither, and not in a new process
    again = SecondFactor(await Database.open(access), access)
    verdict = await again.check("alice", phone.code())
    assert not verdict
    assert verdict.locked_until == phone.wall.now + 60
    phone.wall.now += 61
    assert await again.check("alice", phone.code())
    assert await again.state("alice") == await factor.state("alice")
    assert not (await again.state("alice")).locked_until


async def test_the_lock_doubles_until_a_right_code_ends_it(
    factor: SecondFactor, phone: Phone
) -> None:
    lengths = []
    for _ in range(4):
        for _ in range(3):
            verdict = await factor.check("alice", phone.wrong())
        lengths.append(verdict.locked_until - phone.wall.now)
        phone.wall.now = verdict.locked_until + 1
    assert lengths == [60, 120, 240, 480]
    assert await factor.check("alice", phone.code())
    for _ in range(3):
        verdict = await factor.check("alice", phone.wrong())
    assert verdict.locked_until - phone.wall.now == 60


async def test_the_lock_is_at_most_a_day(
    database: Database, factor: SecondFactor, phone: Phone
) -> None:
    async with database.writing() as connection:
        await connection.execute(sa.update(schema.attempts).values(locks=2_000))
    for _ in range(3):
        verdict = await factor.check("alice", phone.wrong())
    assert verdict.locked_until - phone.wall.now == 86400


async def test_guesses_at_the_same_time_are_counted_before_they_are_looked_at(
    factor: SecondFactor, phone: Phone
) -> None:
    verdicts = await asyncio.gather(*(factor.check("alice", phone.wrong()) for _ in range(12)))
    looked_at = [verdict for verdict in verdicts if "not the code" in verdict.words]
    assert len(looked_at) == 3
    assert not await factor.check("alice", phone.code())


async def test_the_last_try_may_be_the_right_one(factor: SecondFactor, phone: Phone) -> None:
    for _ in range(2):
        await factor.check("alice", phone.wrong())
    assert await factor.check("alice", phone.code())
    assert not (await factor.state("alice")).locked_until


@pytest.mark.parametrize("code", ["", " ", "12345", "1234567", "١٢٣٤٥٦", "12345a", "x" * 5000])
async def test_what_is_no_code_is_no_attempt(factor: SecondFactor, phone: Phone, code: str) -> None:
    for _ in range(5):
        assert "six digits" in (await factor.check("alice", code)).words
    assert await factor.check("alice", phone.code())


async def test_one_operators_guesses_lock_nobody_else(
    factor: SecondFactor, phone: Phone, wall: Wall
) -> None:
    enrolment = await factor.begin("bob", "jump1")
    bobs = Phone(enrolment, wall)
    await factor.confirm(enrolment, bobs.code())
    wall.now += 30
    for _ in range(4):
        await factor.check("bob", bobs.wrong())
    assert not await factor.check("bob", bobs.code())
    assert await factor.check("alice", phone.code())
    # and a code is its owner's only
    assert not await factor.check("alice", bobs.code(30))


# --- recovery codes ---


async def test_each_recovery_code_works_once(factor: SecondFactor, phone: Phone) -> None:
    first = phone.codes[0]
    verdict = await factor.check("alice", f" {first.upper()} ")
    assert verdict
    assert verdict.how == "recovery"
    assert "9 left" in verdict.words
    assert not await factor.check("alice", first)
    assert await factor.check("alice", phone.codes[9].replace("-", ""))
    assert (await factor.state("alice")).recovery_left == 8
    assert not await factor.check("alice", "aaaaa-aaaaa")


async def test_new_recovery_codes_need_a_code_and_end_the_old_ones(
    factor: SecondFactor, phone: Phone
) -> None:
    with pytest.raises(AccessError):
        await factor.renew_recovery("alice", phone.wrong())
    codes = await factor.renew_recovery("alice", phone.code())
    assert not set(codes) & set(phone.codes)
    assert not await factor.check("alice", phone.codes[0])
    assert await factor.check("alice", codes[0])


async def test_nothing_is_readable_at_rest(
    database: Database, factor: SecondFactor, phone: Phone
) -> None:
    async with database.reading() as connection:
        row = (await connection.execute(sa.select(schema.factors))).one()
        hashes = [r.hash for r in await connection.execute(sa.select(schema.recovery_codes))]
    assert phone._totp.secret.encode() not in row.secret
    assert len(hashes) == recovery.COUNT
    assert all(h.startswith("$argon2id$") for h in hashes)
    assert not any(code[:5] in h for code in phone.codes for h in hashes)


# --- the key ---


async def test_another_key_is_named_and_no_code_is_counted(
    database: Database, access: Access, factor: SecondFactor, phone: Phone, tmp_path: Path
) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(base64.b64encode(secrets.token_bytes(32)))
    other.chmod(0o600)
    wrong = SecondFactor(database, access.model_copy(update={"key": Secret(file=other)}))
    for _ in range(5):
        with pytest.raises(AccessError, match="encrypted with another key") as refused:
            await wrong.check("alice", phone.code())
        assert refused.value.kind == "key"
    assert await factor.check("alice", phone.code())


async def test_a_secret_moved_to_another_operator_does_not_open(
    database: Database, factor: SecondFactor, phone: Phone, wall: Wall
) -> None:
    enrolment = await factor.begin("bob", "jump1")
    await factor.confirm(enrolment, Phone(enrolment, wall).code())
    wall.now += 30
    table = schema.factors
    async with database.writing() as connection:
        bobs = (
            await connection.execute(sa.select(table.c.secret).where(table.c.operator == "bob"))
        ).scalar_one()
        await connection.execute(
            sa.update(table).where(table.c.operator == "alice").values(secret=bobs)
        )
    with pytest.raises(AccessError, match="cannot be decrypted"):
        await factor.check("alice", Phone(enrolment, wall).code())
