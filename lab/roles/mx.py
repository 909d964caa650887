"""Postfix with its maps in PostgreSQL, ClamAV as its milter, spamd, fail2ban, exporters."""

from __future__ import annotations

from pathlib import Path

from lab.host import Host
from lab.roles import audit, db

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
"""What the product installs on mail hosts."""

_MAIN = """\
compatibility_level = 3.6
myhostname = {fqdn}
mydomain = {domain}
myorigin = {domain}
mydestination = $myhostname, localhost
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
# no DNS in the lab: destinations stand in /etc/hosts
smtp_host_lookup = native
disable_dns_lookups = yes
smtputf8_enable = yes
enable_long_queue_ids = {long}
smtp_connect_timeout = 10s
virtual_mailbox_domains = proxy:pgsql:/etc/postfix/domains.cf
virtual_mailbox_maps = proxy:pgsql:/etc/postfix/accounts.cf
virtual_alias_maps = proxy:pgsql:/etc/postfix/aliases.cf
virtual_transport = lmtp:inet:store1:24
transport_maps = hash:/etc/postfix/mailtui_suspended
alias_maps =
alias_database =
smtpd_tls_cert_file = /etc/ssl/lab/host.crt
smtpd_tls_key_file = /etc/ssl/lab/host.key
smtpd_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:store1:12345
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_milters = inet:127.0.0.1:7357
milter_default_action = tempfail
anvil_status_update_time = 86400s
"""
# Debian's own lines have syslog_name=postfix/submission: the exporter would not count such sessions
_MASTER = """\
submission inet n - y - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
submissions inet n - y - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
"""
_QUERIES = {
    "domains": "SELECT name FROM domains WHERE name = '%s'",
    "accounts": "SELECT address FROM accounts WHERE address = '%s'",
    "aliases": "SELECT target FROM aliases WHERE address = '%s'",
}
_JAILS = """\
[DEFAULT]
ignoreip = 127.0.0.1/8 {network}
banaction = nftables[type=multiport]
banaction_allports = nftables[type=allports]
bantime = 1h
findtime = 10m
maxretry = 4
backend = auto

[sshd]
enabled = true
logpath = /var/log/auth.log

[postfix-sasl]
enabled = true
logpath = /var/log/mail.log
port = smtp,submission,submissions

[recidive]
enabled = true
logpath = /var/log/fail2ban.log
bantime = -1
maxretry = 20
"""
# EICAR's test file by its MD5 and its length; in parts, or scanners would take this file for it
_SIGNATURES = "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n"


def configure(host: Host) -> None:
    """Every daemon of a mail exchanger."""
    _postfix(host)
    _suspension(host)
    _scanners(host)
    for log in ("mail", "auth", "fail2ban"):
        host.write(f"/var/log/{log}.log", "", 0o640, "root:adm")
    host.remove("/etc/fail2ban/jail.d/defaults-debian.conf")
    host.write("/etc/fail2ban/jail.local", _JAILS.format(network=host.plan.network))
    host.write(
        "/etc/default/prometheus-postfix-exporter",
        'ARGS="--postfix.showq_path=/var/spool/postfix/public/showq'
        ' --postfix.logfile_path=/var/log/mail.log"\n',
    )
    audit.ship(host, "/var/log/fail2ban.log")
    host.enable("postfix.service", "fail2ban.service", "prometheus-postfix-exporter.service")


def _postfix(host: Host) -> None:
    # both kinds of queue ID occur in the field
    long = "yes" if host.own == host.plan.having("mx")[0] else "no"
    main = _MAIN.format(fqdn=host.fqdn, domain=host.plan.domain, long=long)
    host.write("/etc/postfix/main.cf", main)
    if not (host.root / "etc/postfix/master.cf").exists():
        proto = host.root / "usr/share/postfix/master.cf.dist"
        host.write("/etc/postfix/master.cf", proto.read_bytes())
    host.append("/etc/postfix/master.cf", _MASTER)
    hosts = " ".join(one.name for one in host.plan.having("db"))
    for name, query in _QUERIES.items():
        host.write(
            f"/etc/postfix/{name}.cf",
            f"hosts = {hosts}\nuser = {db.READER}\npassword = {db.READER_PASSWORD}\n"
            f"dbname = mail\nquery = {query}\n",
            0o640,
            "root:postfix",
        )


def _suspension(host: Host) -> None:
    """As the head of deploy/mailtui-suspend says; `started` makes its empty table."""
    program = (DEPLOY / "mailtui-suspend").read_bytes()
    host.write("/usr/local/sbin/mailtui-suspend", program, 0o755)
    for unit in ("mailtui-suspend.service", "mailtui-suspend.timer"):
        host.write(f"/etc/systemd/system/{unit}", (DEPLOY / unit).read_bytes())
    host.enable("mailtui-suspend.timer")


def _scanners(host: Host) -> None:
    host.write("/var/lib/clamav/lab.hdb", _SIGNATURES, 0o644, "clamav:clamav")
    host.write(
        "/etc/clamav/clamd.conf",
        "LocalSocket /run/clamav/clamd.ctl\nLocalSocketMode 666\nTCPSocket 3310\n"
        "TCPAddr 127.0.0.1\nUser clamav\nForeground true\nDatabaseDirectory /var/lib/clamav\n"
        "OfficialDatabaseOnly false\nMaxThreads 2\nLogSyslog true\nConcurrentDatabaseReload no\n",
    )
    # Debian's unit waits for signatures from the internet
    host.write(
        "/etc/systemd/system/clamav-daemon.service.d/lab.conf",
        "[Unit]\nConditionPathExistsGlob=\n",
    )
    host.write(
        "/etc/clamav/clamav-milter.conf",
        "MilterSocket inet:7357@127.0.0.1\nUser clamav\nForeground true\n"
        "ClamdSocket tcp:127.0.0.1:3310\nOnInfected Reject\nOnFail Defer\nLogSyslog true\n"
        "LogInfected Basic\n",
    )
    host.service("lab-clamav-milter", "/usr/sbin/clamav-milter -c /etc/clamav/clamav-milter.conf")
    host.write("/etc/default/spamd", 'OPTIONS="-L -m 1 -i 127.0.0.1 -A 127.0.0.1"\nPIDFILE=""\n')
    host.enable("clamav-daemon.service", "spamd.service")


def started(host: Host) -> None:
    """Both ways in answer with a banner."""
    host.run("echo expire | /usr/local/sbin/mailtui-suspend")
    for port in (25, 587):
        host.wait_port(port)
    host.wait_for("fail2ban-client ping")
