"""Wheels that do not hold MobileStyleGAN's two networks as OpenVINO writes them."""

from __future__ import annotations

import re
import struct
import zipfile

from tests.conftest import tiny_mobilestylegan
from tests.hostile.common import SOUND, Files
from tests.openvino_files import as_wheel, networks

MAPPING, XML, NUMBERS = "MappingNetwork.xml", "SynthesisNetwork.xml", "SynthesisNetwork.bin"
START = b'<?xml version="1.0" ?>'
LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (i, b"&l%d;" % (i - 1) * 10 if i else b"ha") for i in range(12))
MANY = 30_000


def false_wheels() -> Files:
    """Wheels to refuse, and sound ones."""
    sound = networks(tiny_mobilestylegan())
    xml, mapping = sound[XML], sound[MAPPING]
    texts = {**_documents(xml), **_layers(xml), **_edges(xml), **_constants(xml)}
    wheels = {name: as_wheel({**sound, XML: text}) for name, text in texts.items()}
    wheels |= {name: as_wheel({**sound, MAPPING: text}) for name, text in _mappings(mapping).items()}
    wheels |= {name: as_wheel({**sound, **files}) for name, files in _numbers(sound).items()}
    whole = {"wheel": as_wheel(sound), "stored wheel": as_wheel(sound, compression=zipfile.ZIP_STORED)}
    files = {f"a wheel with {name}.whl": content for name, content in (wheels | _zips(sound)).items()}
    return files | {f"{SOUND}{name}.whl": content for name, content in whole.items()}


def edited(text: bytes, before: bytes, after: bytes) -> bytes:
    """A text with the first place that fits a pattern replaced."""
    changed, count = re.subn(before, lambda _: after, text, count=1)
    assert count, before
    return changed


def _documents(xml: bytes) -> Files:
    return {
        "a document type": edited(xml, rb"\?>", b"?><!DOCTYPE net>"),
        "an entity": edited(edited(xml, rb"\?>", b'?><!DOCTYPE net [<!ENTITY x "1">]>'), b'"10"', b'"&x;"'),
        "a million laughs": edited(
            edited(xml, rb"\?>", b"?><!DOCTYPE net [" + LAUGHS + b"]>"), b"<edges>", b"<edges>&l11;"
        ),
        "a file as an entity": edited(xml, rb"\?>", b'?><!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        "a document type elsewhere": edited(xml, rb"\?>", b'?><!DOCTYPE net SYSTEM "http://127.0.0.1:1/net.dtd">'),
        "an entity that nobody declared": edited(xml, b'"10"', b'"&x;"'),
        "endless depth": b"<net>" * 100_000,
        "an endless name": b"<" + b"n" * 1_900_000,
        "an endless attribute": edited(xml, b"m.conv1.bias", b"m" * 1_900_000),
        "too much XML": xml + b" " * (3 << 20),
        "no XML": b"",
        "half its XML": xml[: len(xml) // 2],
        "two documents": xml + xml,
        "an encoding of codecs": edited(xml, rb" \?>", b' encoding="rot13"?>'),
        "an encoding that is not there": edited(xml, rb" \?>", b' encoding="utf-9"?>'),
        "bytes that are no text": edited(xml, b"m.conv1.bias", b"m.\xff\xfe"),
    }


def _layers(xml: bytes) -> Files:
    blocks = b"".join(b'<layer id="y%d" name="m.layers.%d.conv1.bias" type="Const"/>' % (i, i) for i in range(9, 3000))
    many = b'<layer id="%d"/>' * MANY % tuple(range(1000, 1000 + MANY))
    noise = rb'type="Const"(?=><data element_type="f32" shape="1, 1, 4, 4")'
    return {
        "nothing": b'<net name="x" version="10"><layers/><edges/></net>',
        "too many layers": edited(xml, b"</layers>", many + b"</layers>"),
        "a layer twice": edited(xml, b'<layer id="1"', b'<layer id="0"'),
        "a name twice": edited(xml, b"m.layers.0.conv1.bias", b"m.conv1.bias"),
        "no constant of a name": edited(xml, b"m.input.input", b"m.output"),
        "blocks without end": edited(xml, b"</layers>", blocks + b"</layers>"),
        "no blocks": xml.replace(b"m.layers.", b"n.layers."),
        "a bias that is not added": edited(xml, b'name="m.conv1 with bias" type="Add"', b'name="x" type="Multiply"'),
        "noise that is no constant": edited(xml, noise, b'type="Tile"'),
    }


def _edges(xml: bytes) -> Files:
    many = b'<edge from-layer="0" to-layer="1" to-port="%d"/>' * MANY % tuple(range(MANY))
    one = re.search(rb"<edge [^>]*/>", xml)
    assert one is not None
    return {
        "no edges": edited(xml, rb"(?s)<edges>.*</edges>", b"<edges/>"),
        "too many edges": edited(xml, b"</edges>", many + b"</edges>"),
        "an edge from nowhere": edited(xml, rb'from-layer="\d+"', b'from-layer="9999"'),
        "an edge to nowhere": edited(xml, rb'to-layer="\d+"', b'to-layer="9999"'),
        "two edges to one port": edited(xml, b"<edges>", b"<edges>" + one[0]),
        "a port below zero": edited(xml, b'to-port="0"', b'to-port="-1"'),
        "a port of endless digits": edited(xml, b'to-port="0"', b'to-port="' + b"9" * 100_000 + b'"'),
    }


def _constants(xml: bytes) -> Files:
    """A bias whose attributes are no place in the numbers."""
    found = re.search(rb'name="m\.conv1\.bias" type="Const"><data [^>]*', xml)
    assert found is not None
    changes = {
        "integers": (rb'"f32"', b'"i32"'),
        "a type that is not there": (rb'"f32"', b'"f33"'),
        "a shape of letters": (rb'shape="[^"]*"', b'shape="one"'),
        "a shape below zero": (rb'shape="[^"]*"', b'shape="-1, 16"'),
        "a giant shape": (rb'shape="[^"]*"', b'shape="999999999999, 16"'),
        "a shape of endless dimensions": (rb'shape="[^"]*"', b'shape="' + b"1," * 5000 + b'16"'),
        "a shape of endless digits": (rb'shape="[^"]*"', b'shape="' + b"999999999999999," * 100_000 + b'16"'),
        "a shape of nothing": (rb'shape="[^"]*" offset="\d+" size="\d+"', b'shape="0" offset="0" size="0"'),
        "a bias that is too short": (rb'shape="[^"]*" offset="\d+" size="\d+"', b'shape="4" offset="0" size="16"'),
        "an offset beyond its numbers": (rb'offset="\d+', b'offset="99999999'),
        "an odd offset": (rb'offset="\d+', b'offset="3'),
        "an offset below zero": (rb'offset="\d+', b'offset="-64'),
        "an offset of endless digits": (rb'offset="\d+', b'offset="' + b"9" * 9000),
        "a size of its own": (rb' size="\d+', b' size="60'),
        "no size": (rb' size="\d+"', b""),
    }
    return {name: xml.replace(found[0], edited(found[0], *change)) for name, change in changes.items()}


def _mappings(xml: bytes) -> Files:
    products = b"".join(b'<layer id="z%d" type="MatMul"/>' % i for i in range(5000))
    return {
        "products without end": edited(xml, b"</layers>", products + b"</layers>"),
        "no products": xml.replace(b'"MatMul"', b'"MatMull"'),
        "a matrix that is not transposed": edited(xml, b'transpose_b="true"', b'transpose_b="false"'),
        "a product of two constants": edited(xml, b'name="var" type="Parameter"', b'name="var" type="Const"'),
    }


def _numbers(sound: Files) -> dict[str, Files]:
    at_once = {
        name.replace(".bin", ".xml"): re.sub(rb'offset="\d+', b'offset="0', sound[name.replace(".bin", ".xml")])
        for name in sound
    }
    return {
        "no numbers": {NUMBERS: b""},
        "half its numbers": {NUMBERS: sound[NUMBERS][: len(sound[NUMBERS]) // 2]},
        "numbers that are none": {NUMBERS: b"\xff" * len(sound[NUMBERS])},
        "another slope": {NUMBERS: sound[NUMBERS].replace(struct.pack("<f", 0.2), struct.pack("<f", 0.3))},
        "numbers without end": {NUMBERS: bytes(65 << 20)},
        "constants in the same bytes": {**at_once, NUMBERS: bytes(10_000), "MappingNetwork.bin": bytes(10_000)},
        "the same network twice": {XML: sound[MAPPING], NUMBERS: sound["MappingNetwork.bin"]},
    }


def _zips(sound: Files) -> Files:
    whole, locked = as_wheel(sound), bytearray(as_wheel(sound))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    damaged = bytearray(whole)
    damaged[len(whole) // 3] ^= 0xFF
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    return {
        "a file twice": as_wheel({**sound, f"more/{XML}": sound[XML]}),
        "a file left out": as_wheel({name: content for name, content in sound.items() if name != NUMBERS}),
        "a packing of its own": as_wheel(sound, compression=zipfile.ZIP_LZMA),
        "another packing": as_wheel(sound, compression=zipfile.ZIP_BZIP2),
        "a password": bytes(locked),
        "content behind it": whole + b"\0",
        "content before it": b"PK\x03\x04" + whole,
        "a 64-bit end": whole[:-22] + locator + whole[-22:],
        "a comment": whole[:-2] + b"\x05\x00hello",
        "a damaged file": bytes(damaged),
        "a giant directory": whole[:-10] + struct.pack("<L", 0x7FFFFFFF) + whole[-6:],
    }
