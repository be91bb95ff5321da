"""As much of a mail server as a client needs (RFC 5321), keeping what it is given."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


class MailServer(socketserver.ThreadingTCPServer):
    """Takes mail, unless told to refuse it in one of several ways."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.raw: list[bytes] = []
        self.recipients: list[str] = []
        self.logins = 0
        self.answer_to_recipient = "250 ok"
        self.answer_to_text = "250 taken"
        """Empty: the connection breaks after the text."""

    @property
    def url(self) -> str:
        return f"smtp://user:p%40ss@127.0.0.1:{self.server_address[1]}"

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(raw, policy=default) for raw in self.raw]  # type: ignore[misc] # by its policy


class Talk(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 ready")
        while line := self.rfile.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"EHLO":
                self.say("250-here", "250 AUTH PLAIN")
            elif verb == b"AUTH":
                self.server.logins += 1
                self.say("235 welcome")
            elif verb == b"RCPT":
                self.server.recipients.append(line.decode().strip())
                self.say(self.server.answer_to_recipient)
            elif verb == b"DATA":
                self.say("354 go on")
                text = self.read_mail()
                if not self.server.answer_to_text:
                    return
                if self.server.answer_to_text.startswith("2"):
                    self.server.raw.append(text)
                self.say(self.server.answer_to_text)
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def read_mail(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line)
        return b"".join(lines)

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Run a mail server for as long as the block."""
    with MailServer() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()
