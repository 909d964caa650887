"""etcd, in which Patroni keeps who leads."""

from __future__ import annotations

from lab.host import Host


def configure(host: Host) -> None:
    """One member."""
    own = host.address
    host.write(
        "/etc/default/etcd",
        f"ETCD_NAME={host.name}\nETCD_DATA_DIR=/var/lib/etcd/lab\nETCD_UNSAFE_NO_FSYNC=true\n"
        f"ETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:2379\n"
        f"ETCD_ADVERTISE_CLIENT_URLS=http://{own}:2379\n"
        f"ETCD_LISTEN_PEER_URLS=http://{own}:2380\n"
        f"ETCD_INITIAL_ADVERTISE_PEER_URLS=http://{own}:2380\n"
        f"ETCD_INITIAL_CLUSTER={host.name}=http://{own}:2380\n",
    )
    host.enable("etcd.service")


def started(host: Host) -> None:
    """It answers."""
    host.wait_port(2379)
