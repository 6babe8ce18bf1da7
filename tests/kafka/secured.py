"""A broker that lets in who proves who they are, over TLS, and has them do only what they may; and its administrator."""

import argparse
import datetime
import ipaddress
import re
import shlex
from pathlib import Path

from broker import Broker, Extra, free_ports
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

USER, PASSWORD, MECHANISM = "metering", "hush-hush", "SCRAM-SHA-512"
PROPERTIES = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={store}
listener.name.users.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.users.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""
# A cluster as an ACL names it: the library calls its kind by another thing that has the same number.
CLUSTER = (ResourceType.BROKER, "kafka-cluster")


class Secured:
    """The broker. Where it is asked without a name everything may be done: there its administrator is."""

    def __init__(self, folder: Path) -> None:
        """Prepares it."""
        (port,) = free_ports(1)
        self.users = f"127.0.0.1:{port}"
        self._ca, password, store = folder / "ca.pem", folder / "password", folder / "broker.store"
        key, certificate = certify()
        self._ca.write_bytes(certificate)
        store.write_bytes(key + certificate)
        password.write_text(f"{PASSWORD}\n")
        self.security = {"security_protocol": "sasl_ssl", "ssl_ca_location": str(self._ca), "sasl_mechanism": MECHANISM}
        self.security |= {"sasl_username": USER, "sasl_password_file": str(password)}
        scram = (f'{MECHANISM}=[name={USER},password="{PASSWORD}"]',)
        self.broker = Broker(folder, extra=Extra({"USERS": ("SASL_SSL", port)}, PROPERTIES.format(store=store), scram))

    def allow(self, line: str) -> None:
        """Does what a line for `kafka-acls.sh` says."""
        said = LINE.parse_args(shlex.split(line.removeprefix("kafka-acls.sh ")))
        pattern = getattr(ResourcePatternType, said.resource_pattern_type.upper())
        named = {ResourceType.TOPIC: said.topic, ResourceType.GROUP: said.group, ResourceType.TRANSACTIONAL_ID: said.transactional_id}
        resources = [(kind, name) for kind, name in named.items() if name is not None] + ([CLUSTER] if said.cluster else [])
        operations = [getattr(AclOperation, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()) for name in said.operation]
        given = AclPermissionType.ALLOW
        rights = [AclBinding(kind, name, pattern, said.allow_principal, "*", operation, given) for kind, name in resources for operation in operations]
        administrator = AdminClient({"bootstrap.servers": self.broker.address})
        for made in administrator.create_acls(rights).values():
            made.result()


def certify() -> tuple[bytes, bytes]:
    """A key, and a certificate for this machine that it signed itself; both as PEM."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("kafka-acls.sh", exit_on_error=False, allow_abbrev=False)
    for flag in ("--add", "--cluster"):
        parser.add_argument(flag, action="store_true")
    for option in ("--bootstrap-server", "--allow-principal", "--topic", "--group", "--transactional-id"):
        parser.add_argument(option)
    parser.add_argument("--operation", action="append", default=[])
    parser.add_argument("--resource-pattern-type", default="literal")
    return parser


LINE = _line()
