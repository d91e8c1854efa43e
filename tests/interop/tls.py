# Helpers of the TLS tests: an authority that issues certificates with the openssl command, the TLS examples as
# servers, and clients of Python's ssl.

import atexit
import contextlib
import dataclasses
import datetime
import functools
import itertools
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator

from http_proxy_test import example
from support import LOCALHOST, WAIT_S, Program

EXAMPLES = pathlib.Path(os.environ["COAX_EXAMPLES"])
NUMBERS = itertools.count()
NAMES = "DNS:localhost,IP:127.0.0.1"
KEYS = {
    "ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    "ed25519": ["-algorithm", "Ed25519"],
}
CA_CONFIGURATION = """
[ca]
default_ca = here
[here]
database = {folder}/database
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
policy = any
preserve = yes
[any]
commonName = optional
organizationName = optional
"""


@functools.cache
def folder() -> pathlib.Path:
    """A temporary one, until the process ends."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="coax-tls-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    (path / "database").touch()
    (path / "ca.cnf").write_text(CA_CONFIGURATION.format(folder=path))
    return path


def openssl(*words: str) -> str:
    """The output of the command, which must succeed."""
    ran = subprocess.run(["openssl", *words], capture_output=True, timeout=WAIT_S, check=False, cwd=folder())
    assert ran.returncode == 0, f"openssl {' '.join(words)}:\n{ran.stderr.decode()}"
    return ran.stdout.decode()


@dataclasses.dataclass(frozen=True)
class Files:
    """A certificate and its key."""

    certificate: str
    key: str

    def followed_by(self, *links: "Files") -> "Files":
        """With more certificates in the same file."""
        text = "".join(pathlib.Path(one.certificate).read_text() for one in [self, *links])
        path = folder() / f"chain-{next(NUMBERS)}.pem"
        path.write_text(text)
        return Files(str(path), self.key)


def time_text(days: float) -> str:
    """In ASN.1, that many days from now."""
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return then.strftime("%y%m%d%H%M%SZ")


def issue(issuer: Files | None = None, *, subject: str = "/CN=localhost", names: str = NAMES, kind: str = "ec",
          purpose: str = "serverAuth", is_authority: bool = False, days: tuple[float, float] = (-1, 100),
          digest: str | None = None) -> Files:
    """A certificate, signed by the issuer, or by itself; `days`: from when until when it is valid."""
    base = folder() / f"certificate-{next(NUMBERS)}"
    files = Files(f"{base}.pem", f"{base}.key")
    openssl("genpkey", *KEYS[kind], "-out", files.key)
    openssl("req", "-new", "-utf8", "-key", files.key, "-subj", subject, "-out", f"{base}.csr")
    extensions = "basicConstraints = critical, CA:TRUE\n" if is_authority else "basicConstraints = CA:FALSE\n"
    extensions += "" if is_authority else f"extendedKeyUsage = {purpose}\n"
    extensions += f"subjectAltName = {names}\n" if names and not is_authority else ""
    pathlib.Path(f"{base}.ext").write_text(extensions)
    signer = ["-selfsign", "-keyfile", files.key] if issuer is None else \
        ["-cert", issuer.certificate, "-keyfile", issuer.key]
    signs_itself = (issuer.key if issuer else files.key) == files.key and kind == "ed25519"
    openssl("ca", "-batch", "-notext", "-utf8", "-config", "ca.cnf", *signer, "-in", f"{base}.csr",
            "-out", files.certificate, "-extfile", f"{base}.ext", "-startdate", time_text(days[0]),
            "-enddate", time_text(days[1]), "-md", digest or ("null" if signs_itself else "sha256"))
    return files


@functools.cache
def authority(name: str = "Test CA") -> Files:
    return issue(subject=f"/CN={name}", is_authority=True)


@functools.cache
def leaf(kind: str = "ec") -> Files:
    """A good certificate for localhost and 127.0.0.1."""
    return issue(authority(), kind=kind)


@functools.cache
def of_client(name: str, issuer: Files | None = None, days: tuple[float, float] = (-1, 100)) -> Files:
    return issue(issuer or authority(), subject=f"/CN={name}", names="", purpose="clientAuth", days=days)


# --- the examples ---

@contextlib.contextmanager
def serving(name: str, files: Files | None = None, *words: str) -> Iterator[tuple[int, Program]]:
    """An example server, once it accepts connections. At the end it must still run, and end by SIGTERM with 0."""
    files = files or leaf()
    with example(name, files.certificate, files.key, *words) as (port, program):
        yield port, program
        assert program.process.poll() is None, program.log.wait_for_end()
        program.process.terminate()
        assert program.wait() == 0, program.log.wait_for_end()


# --- clients ---

def client_context(version: ssl.TLSVersion | None = None, files: Files | None = None) -> ssl.SSLContext:
    """Of a client that trusts our authority; `files`: its own certificate."""
    context = ssl.create_default_context(cafile=authority().certificate)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # an end without a close_notify is an error
    if version:
        context.minimum_version = context.maximum_version = version
    if files:
        context.load_cert_chain(files.certificate, files.key)
    return context


def connect(port: int, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    plain = socket.create_connection((LOCALHOST, port), WAIT_S)
    try:
        return (context or client_context()).wrap_socket(plain, server_hostname="localhost",
                                                         suppress_ragged_eofs=False)
    except BaseException:
        plain.close()
        raise


class Client:
    """A TLS client whose records pass through our hands: what it sends can be changed, cut or held back."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, source: str = LOCALHOST) -> None:
        self.socket = socket.create_connection((LOCALHOST, port), WAIT_S, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received, self.unsent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client_context()).wrap_bio(self.received, self.unsent, server_hostname="localhost")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def take_input(self) -> bool:
        """Returns: false at the end of the connection."""
        data = self.socket.recv(65536)
        self.received.write(data)
        return data != b""

    def flight(self) -> bytes:
        """The next bytes that the handshake wants to send; none when it is complete."""
        while True:
            try:
                self.tls.do_handshake()
                return self.unsent.read()
            except ssl.SSLWantReadError:
                if data := self.unsent.read():
                    return data
            assert self.take_input(), "the server has ended the handshake"

    def handshake(self) -> None:
        while data := self.flight():
            self.socket.sendall(data)

    def send(self, data: bytes) -> None:
        self.tls.write(data)
        self.socket.sendall(self.unsent.read())

    def send_end(self) -> None:
        """The close_notify."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.socket.sendall(self.unsent.read())

    def recv(self) -> bytes:
        """The next bytes; none after a close_notify. Without one: SSLEOFError."""
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                if not self.take_input():
                    self.received.write_eof()

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (more := self.recv()):
            data += more
        return data

    def rest(self) -> bytes:
        data = b""
        while more := self.recv():
            data += more
        return data


def read_rest(plain: socket.socket) -> bytes:
    """All bytes up to the end; a reset is an end, too."""
    data = bytearray()
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while more := plain.recv(65536):
            data += more
    return bytes(data)


def records_of(data: bytes) -> list[bytes]:
    """The records, with their heads; the last may be cut."""
    records = []
    while data:
        size = 5 + int.from_bytes(data[3:5])
        records.append(data[:size])
        data = data[size:]
    return records


def alert_in(data: bytes) -> int | None:
    """The number of the first alert in plain text."""
    return next((record[6] for record in records_of(data) if record[0] == 21 and len(record) == 7), None)
