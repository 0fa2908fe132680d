"""A ``ProxyCommand`` that counts what goes to the server: standard input to a socket, the socket to standard output.

    ssh -o 'ProxyCommand=python counted_link.py %h %p BYTES-FILE' …

The bytes are those of the encrypted connection. The file holds their number at every moment, since a client may be killed.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

_BLOCK = 1 << 16


def main(host: str, port: str, file: str) -> None:
    with socket.create_connection((host, int(port))) as link:
        threading.Thread(target=answers, args=(link,), daemon=True).start()
        note, sent = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 0
        while block := os.read(0, _BLOCK):
            link.sendall(block)
            sent += len(block)
            os.pwrite(note, b"%020d" % sent, 0)


def answers(link: socket.socket) -> None:
    while block := link.recv(_BLOCK):
        os.write(1, block)


if __name__ == "__main__":
    main(*sys.argv[1:])
