"""The users: send mail by submission at a given rate, read it by IMAP, mistype passwords.

The rate in messages a minute stands in world.json, or in /opt/lab/rate if that is there.
"""

import email.message
import email.utils
import imaplib
import json
import pathlib
import random
import smtplib
import ssl
import time

FACTS = json.loads(pathlib.Path("/opt/lab/world.json").read_text())
ACCOUNTS = list(FACTS["accounts"].items())
# share of each destination; None is another user
TO = [
    *((None, 60), ("ok.example.net", 20), ("gmail.com", 8), ("yahoo.com", 3), ("outlook.com", 3)),
    *(("greylist.example.net", 2), ("full.example.com", 1), ("unknown.example.net", 2)),
    ("refused.example.net", 1),
]
BACKLOG = 150
TLS = ssl.create_default_context(cafile="/etc/ssl/lab/ca.crt")
USERS = [f"203.0.113.{n}" for n in range(50, 60)]
"""Addresses that people log in from; attackers have lower ones."""


def rate():
    """Messages a minute now."""
    try:
        return float(pathlib.Path("/opt/lab/rate").read_text())
    except (OSError, ValueError):
        return FACTS["rate"]


def send(number):
    """One message from one user, through one of the servers."""
    sender, password = random.choice(ACCOUNTS)
    domain = random.choices([to for to, _ in TO], [share for _, share in TO])[0]
    to = f"person{random.randrange(500)}@{domain}" if domain else random.choice(ACCOUNTS)[0]
    message = email.message.EmailMessage()
    message["From"], message["To"] = sender, to
    message["Subject"] = random.choice(["Protokoll", "Grüße – ✉", "Invoice", "Re: Budget"])
    message["Date"] = email.utils.formatdate()
    message["Message-ID"] = f"<{number}.{time.time_ns()}@{FACTS['domain']}>"
    message.set_content("text " * random.randrange(10, 400))
    server = random.choice(FACTS["servers"])
    source = (random.choice(USERS), 0)
    if number % 2:
        with smtplib.SMTP_SSL(server, 465, source_address=source, timeout=10, context=TLS) as smtp:
            smtp.login(sender, password)
            smtp.send_message(message)
    else:
        with smtplib.SMTP(server, 587, source_address=source, timeout=10) as smtp:
            smtp.starttls(context=TLS)
            smtp.login(sender, password)
            smtp.send_message(message)


def receive(number):
    """One message from outside to a user."""
    message = email.message.EmailMessage()
    message["From"], message["To"] = f"person{number % 500}@ok.example.net", ACCOUNTS[0][0]
    message["Subject"], message["Date"] = "Anfrage", email.utils.formatdate()
    message.set_content("text " * random.randrange(10, 400))
    server = random.choice(FACTS["servers"])
    with smtplib.SMTP(server, 25, source_address=("203.0.113.49", 0), timeout=10) as smtp:
        smtp.send_message(message, to_addrs=[random.choice(ACCOUNTS)[0]])


def read(wrong):
    """One look into a mailbox; the oldest messages are removed beyond fifty."""
    user, password = random.choice(ACCOUNTS)
    with imaplib.IMAP4_SSL(FACTS["store"], 993, ssl_context=TLS, timeout=10) as imap:
        imap.login(user, "wrong" if wrong else password)
        _, [count] = imap.select("INBOX")
        if int(count) > 50:
            imap.store(f"1:{int(count) - 50}", "+FLAGS", "\\Deleted")
            imap.expunge()


def main():
    """First what lay waiting, at once; then at the rate, for ever. What fails is said."""
    number = 0
    due = time.monotonic()
    while True:
        actions = [(receive if number % 4 == 3 else send, number)]
        if number % 3 == 0:
            actions.append((read, number % 12 == 0))
        for action, argument in actions:
            try:
                action(argument)
            except (OSError, smtplib.SMTPException) as error:
                print(repr(error)[:200], flush=True)
                time.sleep(0.5)
            except imaplib.IMAP4.error:
                pass
        number += 1
        if number == BACKLOG:
            pathlib.Path("/opt/lab/begun").touch()
        step = 60 / max(rate(), 0.1)
        now = time.monotonic()
        # neither make up for more than a few seconds, nor keep to what an earlier rate asked for
        due = min(max(due + step, now - 5), now + step)
        if number >= BACKLOG:
            wait(due)


def wait(due):
    """Until then, or until the rate changes."""
    before = rate()
    while (left := due - time.monotonic()) > 0 and rate() == before:
        time.sleep(min(left, 1))


main()
