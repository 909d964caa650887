"""Keys of one life of the lab: the console's SSH key, host keys, a certificate authority."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.plan import STATE, Plan

KEYS = STATE / "keys"


def make(plan: Plan) -> None:
    """All keys, below KEYS; and `known_hosts` for the console."""
    KEYS.mkdir(parents=True, mode=0o700)
    for name in ("console", "backup", *(f"host-{name}" for name in plan.hosts)):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(KEYS / name))
    known = [
        f"{host.name},{host.address} {public(f'host-{host.name}')}" for host in plan.hosts.values()
    ]
    (STATE / "known_hosts").write_text("\n".join(known) + "\n")
    _authority()
    for host in plan.hosts.values():
        _certificate(host.name, f"{host.name}.{plan.domain}", host.address)


def public(name: str) -> str:
    """Type and body of a public SSH key."""
    return " ".join((KEYS / f"{name}.pub").read_text().split()[:2])


def _authority() -> None:
    _run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "30", "-subj", "/CN=mailtui lab CA"),
        # Python verifies strictly from 3.13 on (RFC 5280)
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *("-keyout", str(KEYS / "ca.key"), "-out", str(KEYS / "ca.crt")),
    )


def _certificate(name: str, dns: str, address: str) -> None:
    _run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-CA", str(KEYS / "ca.crt"), "-CAkey", str(KEYS / "ca.key")),
        *("-nodes", "-days", "29", "-subj", f"/CN={dns}"),
        *("-addext", f"subjectAltName=DNS:{dns},DNS:{name},IP:{address}"),
        *("-addext", "basicConstraints=critical,CA:false"),
        *("-keyout", str(KEYS / f"{name}.key"), "-out", str(KEYS / f"{name}.crt")),
    )


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def read(path: str) -> str:
    """The text of a key or certificate."""
    return (KEYS / Path(path)).read_text()
