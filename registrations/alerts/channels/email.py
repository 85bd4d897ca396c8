"""E-mail over SMTP, as the environment says (SMTP_URL, MAIL_FROM)."""

import smtplib
from collections.abc import Sequence
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection

from registrations.alerts.channels.sending import SEND_S, NotSent
from registrations.incidents.message import Message
from registrations.models import Channel

BACKEND = "django.core.mail.backends.smtp.EmailBackend"
PERMANENT = range(500, 600)


class Email:
    """`settings` has `to`: a list of addresses, each of which gets a mail of its own."""

    def recipients(self, channel: Channel) -> Sequence[str]:
        return [str(address) for address in channel.settings.get("to", ())]

    def send(self, channel: Channel, recipient: str, message: Message, reference: str) -> str:
        if not settings.EMAIL_HOST:
            raise NotSent("No mail server is named: set SMTP_URL.")
        domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
        headers = {"Message-ID": f"<{reference}@{domain}>", "Auto-Submitted": "auto-generated"}
        if thread := message.data.get("thread"):
            headers["References"] = f"<{thread}@{domain}>"
        mail = EmailMultiAlternatives(
            message.subject,
            message.text,
            to=[recipient],
            connection=get_connection(BACKEND, timeout=SEND_S),
            headers=headers,
        )
        if message.html:
            mail.attach_alternative(message.html, "text/html")
        try:
            mail.send()
        except smtplib.SMTPRecipientsRefused as refused:
            code, said = next(iter(refused.recipients.values()))
            raise NotSent(_words(code, said), is_final=code in PERMANENT) from refused
        except smtplib.SMTPDataError as refused:
            why = _words(refused.smtp_code, refused.smtp_error)
            raise NotSent(why, is_final=refused.smtp_code in PERMANENT) from refused
        except smtplib.SMTPResponseException as refused:
            # The log-in or the sender: somebody may yet put that right.
            raise NotSent(_words(refused.smtp_code, refused.smtp_error)) from refused
        except (smtplib.SMTPException, OSError) as failed:
            raise NotSent(str(failed) or type(failed).__name__) from failed
        return "Taken by the mail server."


def _words(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{code} {text}"
