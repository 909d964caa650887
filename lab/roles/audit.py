"""The audit trail: rsyslog makes ECS events of log lines and sends them to the search engine.

Not a role of its own: roles whose daemons log mail or logins call `ship`.
"""

from __future__ import annotations

from lab.host import Host

_MAILBOX = "<([^>]*)>"
_RULES = """\
module(load="omelasticsearch")
module(load="imfile")
template(name="event" type="subtree" subtree="$!ecs")
template(name="index" type="string"
         string="audit-%timereported:1:4:date-rfc3339%.%timereported:6:7:date-rfc3339%.%timereported:9:10:date-rfc3339%")
template(name="stamp" type="string" string="%timereported:::date-rfc3339%")

if $programname startswith "postfix" then {
  set $.who = re_extract($msg, "sasl_username=([^, ]+)", 0, 1, "");
  set $.ip = re_extract($msg, "\\\\[([0-9a-f.:]+)\\\\]", 0, 1, "");
  if $msg contains "client=" and $.who != "" then {
    set $.action = "message-submitted"; set $.outcome = "success"; set $.category = "email";
  } else if $msg contains "authentication failed" then {
    set $.action = "user-login"; set $.outcome = "failure"; set $.category = "authentication";
  } else if $msg contains " status=" then {
    set $.category = "email"; set $.ip = "";
    set $.who = re_extract($msg, "to=<([^>]*)>", 0, 1, "");
    if $msg contains "status=sent" then {
      set $.action = "message-delivered"; set $.outcome = "success";
    } else if $msg contains "status=bounced" then {
      set $.action = "message-bounced"; set $.outcome = "failure";
    } else {
      set $.action = "message-deferred"; set $.outcome = "unknown";
    }
  } else if $msg contains "milter-reject" or $msg contains "NOQUEUE: reject" then {
    set $.action = "message-rejected"; set $.outcome = "failure"; set $.category = "email";
  }
  set $.service = "smtp";
} else if $programname == "dovecot" then {
  set $.who = re_extract($msg, "user=<([^>]*)>", 0, 1, "");
  set $.ip = re_extract($msg, "rip=([0-9a-f.:]+)", 0, 1, "");
  set $.service = re_extract($msg, "(imap|pop3|managesieve|lmtp|auth)", 0, 1, "imap");
  if $msg contains "-login: Login:" then {
    set $.action = "user-login"; set $.outcome = "success"; set $.category = "authentication";
  } else if $msg contains "-login: " and $msg contains "auth failed" then {
    set $.action = "user-login"; set $.outcome = "failure"; set $.category = "authentication";
  } else if $msg contains "stored mail into" then {
    set $.who = re_extract($msg, "lmtp\\\\(([^)]*)\\\\)", 0, 1, "");
    set $.action = "message-stored"; set $.outcome = "success"; set $.category = "email";
  } else if $msg contains "expunge:" then {
    set $.who = re_extract($msg, "imap\\\\(([^)]*)\\\\)", 0, 1, "");
    set $.action = "message-expunged"; set $.outcome = "success"; set $.category = "file";
  }
} else if $programname == "sudo" and $msg contains "COMMAND=" then {
  set $.who = re_extract($msg, "^ *([^ ]+) : ", 0, 1, "");
  set $.action = "operator-command"; set $.category = "process"; set $.service = "ssh";
  set $.outcome = "success";
  if $msg contains "command not allowed" then set $.outcome = "failure";
} else if $programname == "fail2ban" then {
  set $.ip = re_extract($msg, "([0-9a-f:.]+) *\\$", 0, 1, "");
  set $.service = "fail2ban"; set $.category = "intrusion_detection"; set $.outcome = "success";
  if $msg contains "] Ban " then set $.action = "address-banned";
  if $msg contains "] Unban " then set $.action = "address-unbanned";
}

if $.action != "" then {
  set $!ecs!@timestamp = exec_template("stamp");
  set $!ecs!ecs!version = "8.11.0";
  set $!ecs!event!action = $.action;
  set $!ecs!event!outcome = $.outcome;
  set $!ecs!event!category = $.category;
  set $!ecs!event!kind = "event";
  set $!ecs!event!dataset = "mail." & $.service;
  set $!ecs!host!name = $hostname;
  set $!ecs!service!name = $.service;
  if $.who != "" then set $!ecs!user!name = $.who;
  if $.ip != "" then set $!ecs!source!ip = $.ip;
  if $.who contains "@" then
    set $!ecs!organization!name = re_extract($.who, "@(.*)", 0, 1, "");
  set $!ecs!message = ltrim($msg);
  action(type="omelasticsearch" server="mon1" serverport="9200" searchType=""
         template="event" searchIndex="index" dynSearchIndex="on" bulkmode="on"
         errorFile="/var/spool/rsyslog/refused" action.resumeRetryCount="-1"
         action.resumeInterval="2" action.resumeIntervalMax="10"
         queue.type="LinkedList" queue.size="20000" queue.dequeueBatchSize="200"
         queue.filename="audit" queue.maxDiskSpace="16m" queue.saveOnShutdown="on")
}
"""


def ship(host: Host, *files: str) -> None:
    """Send this host's events to the search engine; `files` are logs that miss syslog.

    The tag of a file's lines is its name without the suffix.
    """
    inputs = [
        f'input(type="imfile" File="{file}" Tag="{file.rpartition("/")[2].partition(".")[0]}:"'
        ' Facility="local7")\n'
        for file in files
    ]
    host.write("/etc/rsyslog.d/60-audit.conf", _RULES + "".join(inputs))
