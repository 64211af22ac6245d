"""TLS on the store's doors, with and without clients' certificates: called by story.py."""

import contextlib
import pathlib
import socket
import ssl
import subprocess
import tempfile

import lab
from lab import check


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def authority(folder, name):
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
            "-subj", f"/CN={name}", "-days", 2, "-addext", "basicConstraints=critical,CA:TRUE")
    return key, certificate


def issued(folder, name, by):
    """A certificate for localhost, from that authority."""
    key, certificate, request, names = (folder / f"{name}.{end}" for end in ("key", "pem", "csr", "names"))
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    openssl("x509", "-req", "-in", request, "-CA", by[1], "-CAkey", by[0], "-CAcreateserial", "-out", certificate, "-days", 2, "-extfile", names)
    return key, certificate


def redis_cli(store, trusted, *words, certificate=None):
    command = ["redis-cli", "-h", "localhost", "-p", store.resp, "--tls", "--cacert", trusted[1]]
    if certificate:
        command += ["--key", certificate[0], "--cert", certificate[1]]
    done = subprocess.run([*map(str, command), *words], capture_output=True, timeout=20)
    return done.stdout.decode().strip()


def big(store, trusted):
    """A block much larger than any buffer, there and back over TLS."""
    context = ssl.create_default_context(cafile=trusted[1])
    block = bytes(range(256)) * (1 << 15)
    with socket.create_connection(("127.0.0.1", store.resp), timeout=20) as plain, context.wrap_socket(plain, server_hostname="localhost") as client:
        client.sendall(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n%s\r\n*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n" % (len(block), block))
        expected = b"+OK\r\n$%d\r\n%s\r\n" % (len(block), block)
        file = client.makefile("rb")
        return file.read(len(expected)) == expected


def secure():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        ours, others = authority(folder, "ours"), authority(folder, "others")
        server, friend, stranger = issued(folder, "server", ours), issued(folder, "friend", ours), issued(folder, "stranger", others)
        flags = ["--tls-certificate", server[1], "--tls-key", server[0]]
        with lab.Store("tls", "64MiB", *flags) as store:
            said = [redis_cli(store, ours, "SET", "k", "v"), redis_cli(store, ours, "GET", "k")]
            check("redis-cli over TLS", said == ["OK", "v"])
            check("8 MiB over TLS, byte for byte", big(store, ours))
            check("a client that does not trust the store's authority leaves", redis_cli(store, others, "GET", "k") != "v")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", store.resp), timeout=20) as plain:
                plain.sendall(b"*1\r\n$4\r\nPING\r\n")
                check("a plain client gets no answer", b"PONG" not in plain.recv(100))
            lab.wait_until(lambda: store.metric("connection_faults_total", fault="tls") >= 2)
            check("failed handshakes are counted", True)
        with lab.Store("mtls", "64MiB", *flags, "--tls-client-authorities", ours[1]) as store:
            said = [redis_cli(store, ours, "PING", certificate=each) for each in (friend, stranger, None)]
            check("with clients' certificates: a friend only", [word == "PONG" for word in said] == [True, False, False], f"({said})")
