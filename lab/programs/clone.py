"""Clones a deferred message: `clone.py COUNT GROUPS-FILE`, on an mx whose Postfix is stopped.

The file has a line DESTINATION=REASON for each group. A queue file is records of (type, length,
data); a clone has another recipient. Its name ends with its inode number
(postfix/src/global/mail_queue.h), its mtime is the next retry, far enough away. Recipients are
clone-N@DESTINATION.
"""

import os
import pathlib
import pwd
import sys
import time

SPOOL = pathlib.Path("/var/spool/postfix")
MIXTURE = [
    "gmail.com=421-4.7.0 rate limited",
    "yahoo.com=421 4.7.0 [TSS04] temporarily deferred",
    "outlook.com=451 4.7.500 Server busy",
    "greylist.example.net=450 4.2.0 Greylisted",
    "full.example.com=452 4.2.2 mailbox full",
]


def record(kind, data):
    """Type, length in base 128 from the low end, data (rec_put(3))."""
    length, left = b"", len(data)
    while True:
        length += bytes([left & 127 | (128 if left > 127 else 0)])
        left >>= 7
        if not left:
            return kind + length + data


def message(sender, recipient, size, now):
    """A queue file as cleanup(8) writes it; the first record has sizes and offsets in text."""
    envelope = [
        record(b"T", b"%d 0" % now),
        record(b"A", b"log_client_name=localhost"),
        record(b"A", b"rewrite_context=local"),
        record(b"S", sender),
        record(b"A", b"dsn_orig_rcpt=rfc822;" + recipient),
        record(b"O", recipient),
        record(b"R", recipient),
    ]
    lines = [b"From: " + sender, b"To: " + recipient, b"Subject: clone", b"", b"x" * size]
    content = b"".join(record(b"N", line) for line in lines)
    head = b"".join(envelope)
    # size of the content's records and their offset, recipients, qmgr flags, content length,
    # SMTPUTF8 (REC_TYPE_SIZE_FORMAT in postfix/src/global/rec_type.h)
    fields = b"%15d %15d %15d %15d %15d %15d"
    blank = record(b"C", fields % (0, 0, 0, 0, 0, 0))
    offset = len(blank) + len(head) + len(record(b"M", b""))
    first = record(b"C", fields % (len(content), offset, 1, 0, len(content), 0))
    tail = record(b"X", b"") + record(b"E", b"")
    return first + head + record(b"M", b"") + content + tail


def main():
    """COUNT clones, group by group in turn."""
    count, groups = int(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text().splitlines()
    groups = [line.split("=", 1) for line in groups or MIXTURE]
    owner = pwd.getpwnam("postfix")
    now = int(time.time())
    for number in range(count):
        domain, reason = groups[number % len(groups)]
        recipient = b"clone-%d@%s" % (number, domain.encode())
        # the name of a short queue ID: microseconds in 5 hex digits, then the inode
        staged = SPOOL / "deferred" / f"clone-{os.getpid()}"
        staged.write_bytes(message(b"news@example.org", recipient, 200, now - number % 7200))
        status = staged.stat()
        name = f"{number % 0x100000:05X}{status.st_ino:X}"
        os.chown(staged, owner.pw_uid, owner.pw_gid)
        staged.chmod(0o700)
        os.utime(staged, (now, now + 4 * 3600))
        folder = SPOOL / "deferred" / name[0]
        if not folder.exists():
            folder.mkdir(0o700)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        staged.rename(folder / name)
        log = SPOOL / "defer" / name[0]
        if not log.exists():
            log.mkdir(0o700)
            os.chown(log, owner.pw_uid, owner.pw_gid)
        log /= name
        log.write_text(
            f"<{recipient.decode()}>: host {domain}[198.51.100.1] said: {reason}\n"
            f"recipient={recipient.decode()}\noffset=0\ndsn_orig_rcpt=rfc822;{recipient.decode()}\n"
            f"status=4.0.0\naction=delayed\ndiag_type=smtp\ndiag_text={reason}\nmta_type=dns\n"
            f"mta_mname={domain}\nreason=host {domain}[198.51.100.1] said: {reason}\n\n"
        )
        log.chmod(0o600)
        os.chown(log, owner.pw_uid, owner.pw_gid)
    print(f"{count} messages in {len(groups)} groups")


main()
