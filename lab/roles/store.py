"""Dovecot: IMAP, POP3, LMTP, ManageSieve, SASL for Postfix, metrics; mail in Maildirs."""

from __future__ import annotations

from lab.host import Host
from lab.roles import audit, bk, db

_CONFIG = """\
protocols = imap pop3 lmtp sieve
listen = *
ssl = yes
ssl_cert = </etc/ssl/lab/host.crt
ssl_key = </etc/ssl/lab/host.key
auth_mechanisms = plain login
auth_verbose = yes
# the tests count failures; nobody guesses here
auth_failure_delay = 0
mail_location = maildir:~/Maildir
mail_plugins = notify mail_log
mail_uid = vmail
mail_gid = vmail
first_valid_uid = 1
postmaster_address = postmaster@{domain}
namespace inbox {{
  inbox = yes
}}
passdb {{
  driver = sql
  args = /etc/dovecot/sql.conf
}}
userdb {{
  driver = static
  args = uid=vmail gid=vmail home=/var/vmail/%d/%n
}}
protocol lmtp {{
  mail_plugins = notify mail_log sieve
}}
plugin {{
  mail_log_events = delete expunge mailbox_delete
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_redirect_envelope_from = recipient
}}
service lmtp {{
  inet_listener lmtp {{
    port = 24
  }}
}}
service auth {{
  inet_listener {{
    port = 12345
  }}
}}
service anvil {{
  # no growing delays for addresses that failed: all users of the lab share one
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  inet_listener http {{
    port = 9900
  }}
}}
service doveadm {{
  inet_listener http {{
    port = 8080
  }}
}}
doveadm_password = lab-doveadm
metric auth_success {{
  filter = event=auth_request_finished AND success=yes
}}
metric auth_failure {{
  filter = event=auth_request_finished AND NOT success=yes
}}
metric imap_command {{
  filter = event=imap_command_finished
  group_by = cmd_name tagged_reply_state
}}
metric mail_delivery {{
  filter = event=mail_delivery_finished
}}
"""


def configure(host: Host) -> None:
    """Dovecot, and the nightly backup to bk1."""
    hosts = ",".join(one.name for one in host.plan.having("db"))
    host.write("/etc/dovecot/dovecot.conf", _CONFIG.format(domain=host.plan.domain))
    host.write(
        "/etc/dovecot/sql.conf",
        "driver = pgsql\ndefault_pass_scheme = SSHA256\n"
        f"connect = host={hosts} dbname=mail user={db.READER} password={db.READER_PASSWORD}"
        " connect_timeout=2\n"
        "password_query = SELECT address AS user, password FROM accounts"
        " WHERE address = '%u' AND enabled\n",
        0o600,
    )
    host.folder("/var/vmail", 0o750, "vmail:vmail")
    bk.client(host)
    audit.ship(host)
    host.enable("dovecot.service")


def started(host: Host) -> None:
    """IMAP, LMTP and SASL answer."""
    for port in (993, 24, 12345):
        host.wait_port(port)
