"""Wrong SMTP logins: `attack.py SERVER SOURCE COUNT USER`."""

import smtplib
import ssl
import sys

TLS = ssl.create_default_context(cafile="/etc/ssl/lab/ca.crt")
server, source, count, user = sys.argv[1:]
for number in range(int(count)):
    try:
        with smtplib.SMTP(server, 587, source_address=(source, 0), timeout=5) as smtp:
            smtp.starttls(context=TLS)
            smtp.ehlo()
            smtp.user, smtp.password = user, f"wrong{number}"
            smtp.auth("PLAIN", smtp.auth_plain)  # login() would try every mechanism
    except smtplib.SMTPAuthenticationError:
        print("refused")
    except OSError as error:
        print(f"no answer: {error}")
        break
