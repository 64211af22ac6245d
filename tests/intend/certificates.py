"""Certificates of a small authority."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def authority(folder):
    """A small authority, a server's and a client's certificate; and a stranger's."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def make(name, issuer=None, server=False):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        by, signer = issuer or (subject, key)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(by).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )  # fmt: skip
        if server:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return certificate, key.private_bytes(*form), (subject, key)

    ca, _, signer = make("authority")
    server, server_key, _ = make("server", signer, server=True)
    client, client_key, _ = make("client", signer)
    _, _, other = make("another authority")
    stranger, stranger_key, _ = make("stranger", other)
    folder.mkdir(exist_ok=True)
    for name, text in (("ca.crt", ca), ("tls.crt", server), ("tls.key", server_key)):
        (folder / name).write_bytes(text)
    return ca, (client, client_key), (stranger, stranger_key)
