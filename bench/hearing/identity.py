"""A certificate of our own for 127.0.0.1, of the kind that the server makes for itself (ECDSA P-256), and the root that signed it."""

import ipaddress
import os

from cryptography import x509

from . import own_name


def make(folder):
    """`(root to trust, certificate with its key)`, as PEM files in `folder`. From here on this process trusts them."""
    authority, key = own_name.authority()
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    root, pem = folder / "root.pem", folder / "own.pem"
    root.write_bytes(own_name.in_pem(authority))
    pem.write_bytes(own_name.certificate(authority, key, names))
    os.environ["SSL_CERT_FILE"] = str(root)
    return root, pem
