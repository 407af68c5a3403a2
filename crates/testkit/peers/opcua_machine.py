"""A machine of additive manufacturing as an OPC UA server: asyncua with an address space in the shape of OPC 40540.

The server is the real asyncua. The address space is written from the documented schema: values of a process
with engineering units below Monitoring/Process, the state of production, RunInfo. Names of people, parts and
places stand in every field that is free, and positions beside what may be read.

A control port takes one JSON object a line: {"set": {name: value}}, {"quality": {name: status}}, {"remove": name},
{"delay": seconds}; each answer tells how often each service was asked for, and which nodes were read.
"""

import asyncio
import collections
import json
import logging
import sys
from pathlib import Path

from asyncua import Server, ua
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_session import InternalSession
from asyncua.server.uaprocessor import UaProcessor
from cryptography.x509.oid import ExtendedKeyUsageOID

URI = "http://maker.example/machine"
ACCOUNT = ("imprimatur", "reads-only-4711")
PLANTED = "Jane Doe AcmeCorp_secret-bracket_v3 SN-SECRET-0042"
UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"

# Below Monitoring/Process: name, value at rest, unit by its code and sign.
PROCESS = [
    ("Laser.Power", 0.0, "WTT", "W"),
    ("Laser.Share", 0.0, "P1", "%"),
    ("Laser.Raw", 0.0, None, None),
    ("Powder.Celsius", 25.0, "CEL", "\N{DEGREE SIGN}C"),
    ("Powder.SetPoint", 0.0, "CEL", "\N{DEGREE SIGN}C"),
    ("Run.Minutes", 0.0, "MIN", "min"),
    # Geometry: never to be read.
    ("Scanner.X", 12345.625, "MMT", "mm"),
]

services = collections.Counter()
nodes_read = collections.Counter()
delay = 0.0


class Accounts:
    """The account that may only read; nobody's where the machine is open."""

    def __init__(self, secured):
        self.secured = secured

    def get_user(self, iserver, username=None, password=None, certificate=None):
        if username is None and not self.secured:
            return User(role=UserRole.User)
        return User(role=UserRole.User) if (username, password) == ACCOUNT else None


def count():
    """Counts what comes over the wire."""
    process, read = UaProcessor._process_message, InternalSession.read

    async def counted(self, typeid, requesthdr, seqhdr, body):
        name = ua.ObjectIdNames.get(typeid.Identifier, str(typeid.Identifier))
        services[name.removesuffix("_Encoding_DefaultBinary")] += 1
        if delay and name.startswith("Read"):
            await asyncio.sleep(delay)
        return await process(self, typeid, requesthdr, seqhdr, body)

    async def noted(self, params):
        for one in params.NodesToRead if self.external else []:
            nodes_read[one.NodeId.to_string()] += 1
        return await read(self, params)

    UaProcessor._process_message, InternalSession.read = counted, noted


async def measured(folder, space, name, value, code, sign):
    node = await folder.add_variable(ua.NodeId(name, space), name, value, ua.VariantType.Double)
    if code:
        unit = ua.EUInformation(
            NamespaceUri=UNECE,
            UnitId=int.from_bytes(code.encode(), "big"),
            DisplayName=ua.LocalizedText(sign),
            Description=ua.LocalizedText(PLANTED),
        )
        place = ua.NodeId(f"{name}.Units", space)
        await node.add_property(place, ua.QualifiedName("EngineeringUnits", 0), unit)


async def build(server):
    await server.register_namespace("http://opcfoundation.org/UA/AdditiveManufacturing/")
    space = await server.register_namespace(URI)
    machine = await server.nodes.objects.add_object(ua.NodeId("Machine", space), PLANTED)
    monitoring = await machine.add_folder(space, "Monitoring")
    process = await monitoring.add_folder(space, "Process")
    for row in PROCESS:
        await measured(process, space, *row)
    production = await machine.add_object(space, "Production")
    await production.add_variable(
        ua.NodeId("State", space), "CurrentState", ua.LocalizedText("Initializing")
    )
    await production.add_variable(ua.NodeId("State.Number", space), "Number", 0, ua.VariantType.UInt32)
    run = await production.add_object(space, "RunInfo")
    texts = ["Identifier", "Program.Name", "SerialNumber", "Location", "Feedstock"]
    for name in texts:
        await run.add_variable(ua.NodeId(name, space), name, PLANTED)
    await run.add_variable(ua.NodeId("CurrentLayer", space), "CurrentLayer", 87654321, ua.VariantType.UInt32)
    await run.add_variable(ua.NodeId("Contour", space), "Contour", [1.25, 2.5, 3.75])
    await run.add_variable(ua.NodeId("Flag", space), "Flag", True)
    return space


def variant(value):
    """Texts of states are localized, numbers are Double, whole ones UInt32."""
    if isinstance(value, str) and value.startswith("text:"):
        return ua.Variant(value.removeprefix("text:"), ua.VariantType.String)
    if isinstance(value, str) and value in ("nan", "inf"):
        return ua.Variant(float(value), ua.VariantType.Double)
    if isinstance(value, str):
        return ua.Variant(ua.LocalizedText(value))
    if isinstance(value, int):
        return ua.Variant(value, ua.VariantType.UInt32)
    return ua.Variant(value, ua.VariantType.Double)


async def obey(server, space, order):
    global delay
    for name, value in order.get("set", {}).items():
        await server.write_attribute_value(ua.NodeId(name, space), ua.DataValue(variant(value)))
    for name, status in order.get("quality", {}).items():
        code = ua.StatusCode(getattr(ua.StatusCodes, status))
        value = ua.DataValue(ua.Variant(1.0, ua.VariantType.Double), StatusCode=code)
        await server.write_attribute_value(ua.NodeId(name, space), value)
    if "remove" in order:
        await server.delete_nodes([server.get_node(ua.NodeId(order["remove"], space))])
    delay = order.get("delay", delay)


async def control(server, space, reader, writer):
    async for line in reader:
        try:
            await obey(server, space, json.loads(line))
            answer = {"services": services, "nodes": nodes_read}
        except Exception:
            # Not one that the other side takes for an answer.
            logging.exception("an order failed")
            answer = {"failed": True}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    writer.close()


async def main(folder, port, control_port, security):
    logging.basicConfig(level=logging.WARNING)
    count()
    secured = security == "secured"
    server = Server(user_manager=Accounts(secured))
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_server_name(PLANTED)
    if secured:
        key, certificate = folder / "machine.key.pem", folder / "machine.der"
        subject = {"commonName": "Jane Doe AcmeCorp"}
        app_uri = "urn:maker.example:machine"
        await server.set_application_uri(app_uri)
        use = [ExtendedKeyUsageOID.SERVER_AUTH]
        await setup_self_signed_certificate(key, certificate, app_uri, "127.0.0.1", use, subject)
        await server.load_certificate(str(certificate))
        await server.load_private_key(str(key))
        policies = ["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"]
        server.set_security_policy(
            [getattr(ua.SecurityPolicyType, f"{name}_SignAndEncrypt") for name in policies]
        )
        server.set_identity_tokens([ua.UserNameIdentityToken])
    else:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_identity_tokens([ua.AnonymousIdentityToken])
    space = await build(server)
    serve = lambda reader, writer: control(server, space, reader, writer)
    async with server:
        listener = await asyncio.start_server(serve, "127.0.0.1", control_port)
        async with listener:
            await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
