"""Ends a connection at a deadline, whatever it is waiting for: a peer may send one byte a minute forever."""

import contextlib
import socket
import threading
import time


class ConnectionGuard:
    """Shuts a socket down at its deadline, or as soon as another thread calls `cut`."""

    def __init__(self, deadline: float) -> None:
        """`deadline` is a time of time.monotonic."""
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False
        self._deadline = deadline
        self._timer = self._start_timer()

    @property
    def is_cut(self) -> bool:
        """Whether the deadline has passed, or another thread has ended the connection."""
        return self._is_cut

    @property
    def left_s(self) -> float:
        """The seconds until the deadline."""
        return max(0.0, self._deadline - time.monotonic())

    def hold(self, connected: socket.socket) -> None:
        """Guard this connection from now on."""
        # A duplicate, because TLS takes over the original's descriptor; shutting down the copy shuts down both.
        with self._lock:
            self._release()
            self._socket = connected.dup()
            if self._is_cut:
                self._shut_down()

    def extend(self, deadline: float) -> None:
        """Move the deadline; a connection that is cut stays cut."""
        self._timer.cancel()
        self._deadline = deadline
        self._timer = self._start_timer()

    def cut(self) -> None:
        """End the connection now."""
        with self._lock:
            self._is_cut = True
            self._shut_down()

    def close(self) -> None:
        """Stop guarding the connection."""
        self._timer.cancel()
        with self._lock:
            self._release()

    def _start_timer(self) -> threading.Timer:
        timer = threading.Timer(self.left_s, self.cut)
        timer.daemon = True
        timer.start()
        return timer

    def _shut_down(self) -> None:
        if self._socket:
            with contextlib.suppress(OSError):  # already closed by the peer
                self._socket.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None
