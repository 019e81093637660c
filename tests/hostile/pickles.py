"""Pickles that call, fetch, or never end."""

from __future__ import annotations

import os
import struct
import subprocess
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.checkpoint_files import (
    EasyDict,
    Persistent,
)
from tests.hostile.common import (
    CALLABLES,
    META,
    MODULE,
    STAND_IN,
    Files,
    Reduced,
    attack,
    pickled,
    short,
    storage_file,
    tiny_dict,
)


def pickled_names(marker: Path) -> Files:
    """A call of each name, fetched by both of the instructions for it."""
    files = {}
    argument = short(f"touch {marker}"[-255:]) + b"\x85R."
    for name in CALLABLES:
        module, member = name.split(" ")
        files[f"global {name}.pkl"] = b"\x80\x02c" + f"{module}\n{member}\n".encode() + argument
        files[f"stack global {name}.pkl"] = b"\x80\x04" + short(module) + short(member) + b"\x93" + argument
    return files


def attacked_places(marker: Path) -> dict[str, Callable[[], Any]]:
    """Where in a sound pickle the attack hides."""

    def in_layer(place: str) -> dict[str, Any]:
        content = tiny_dict()
        content["G_ema"].state["_modules"]["mapping"].state[place] = attack(marker)
        return content

    def in_table(table: str) -> dict[str, Any]:
        content = tiny_dict()
        content["G_ema"].state["_modules"]["synthesis"].state[table]["x"] = attack(marker)
        return content

    return {
        "beside": lambda: tiny_dict(extra=attack(marker)),
        "for G_ema": lambda: tiny_dict(G_ema=attack(marker)),
        "for the whole": lambda: attack(marker),
        "for a class name": lambda: tiny_dict(G=Persistent(attack(marker))),  # type: ignore[arg-type]
        "among attributes": lambda: in_layer("hook"),
        "for _init_kwargs": lambda: in_layer("_init_kwargs"),
        "among parameters": lambda: in_table("_parameters"),
        "among modules": lambda: in_table("_modules"),
        "in an EasyDict": lambda: tiny_dict(training_set_kwargs=EasyDict(path=attack(marker))),
        "as an argument": lambda: tiny_dict(extra=Reduced(OrderedDict, ([("x", attack(marker))],))),
        "as an item": lambda: tiny_dict(extra=Reduced(OrderedDict, (), None, None, iter([("x", attack(marker))]))),
        "as a state": lambda: tiny_dict(extra=Reduced(OrderedDict, (), {"x": attack(marker)})),
        "as a setter": lambda: tiny_dict(extra=Reduced(OrderedDict, (), "touch x", None, None, os.system)),
        "as Popen": lambda: tiny_dict(extra=Reduced(subprocess.Popen, (["touch", str(marker)],))),
        "as eval": lambda: tiny_dict(extra=Reduced(eval, (f"open({str(marker)!r}, 'w')",))),
        "as exec": lambda: tiny_dict(extra=Reduced(exec, (f"open({str(marker)!r}, 'w')",))),
    }


def pickled_objects(marker: Path) -> Files:
    places = attacked_places(marker)
    everywhere = {f"{place} ({p}).pkl": pickled(make(), p) for place, make in places.items() for p in (2, 4)}
    return everywhere | {f"beside ({p}).pkl": pickled(places["beside"](), p) for p in (0, 1, 3, 5)}


SCALAR = b"cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\n"
INSTRUCTIONS = {
    "build a class by instruction OBJ": b"(cos\nsystem\nX\x04\x00\x00\x00trueo.",
    "build a class by instruction INST": b"(X\x04\x00\x00\x00trueios\nsystem\n.",
    "fetch by registered extension 1": b"\x82\x01.",
    "fetch by registered extension 2": b"\x83\x01\x00.",
    "fetch by registered extension 4": b"\x84\x01\x00\x00\x00.",
    "fetch by persistent id": b"Pid\n.",
    "fetch by persistent id on the stack": b"X\x02\x00\x00\x00idQ.",
    "call a string": b"X\x02\x00\x00\x00hi)R.",
    "call a number": b"K\x01)R.",
    "call a dict": b"})R.",
    "call what a call made": STAND_IN + b")R)R.",
    "call with a list of arguments": STAND_IN + b"]R.",
    "call with too many arguments": STAND_IN + b"K\x01K\x02K\x03\x87R.",
    "call with keywords": STAND_IN + b")}\x92.",
    "call a type that is only named": b"ctorch\nFloatStorage\nK\x05\x85R.",
    "new object of a string": b"X\x02\x00\x00\x00hi)\x81.",
    "set attributes of an admitted name": STAND_IN + b"}X\x08\x00\x00\x00__call__K\x01sb.",
    "set slots of an admitted name": STAND_IN + b"N}X\x04\x00\x00\x00callK\x01s\x86b.",
    "set attributes of a list": b"]}X\x01\x00\x00\x00aK\x01sb.",
    "set attributes of a number": b"K\x01}X\x01\x00\x00\x00aK\x01sb.",
    "set attributes of a module": MODULE
    + META
    + b"X\x0a\x00\x00\x00class_nameX\x01\x00\x00\x00GX\x05\x00\x00\x00state}u"
    b"\x85R}X\x05\x00\x00\x00state]sb.",
    "items for an admitted name": STAND_IN + b"K\x01K\x02s.",
    "items for a list": b"]K\x01K\x02s.",
    "many items for a number": b"K\x01(K\x02K\x03u.",
    "append to an admitted name": STAND_IN + b"K\x01a.",
    "append to a dict": b"}K\x01a.",
    "append many to a tuple": b")(K\x01e.",
    "add to a list as if to a set": b"](K\x01\x90.",
    "a tuple as a key, which can take for ever to hash": b"}K\x01K\x02\x86K\x03s.",
    "a tuple in a set": b"\x8f(K\x01K\x02\x86\x90.",
    "a tuple in a frozenset": b"(K\x01K\x02\x86\x91.",
    "a list as a key": b"}]K\x03s.",
    "a class name that is a structure": MODULE + META + b"X\x0a\x00\x00\x00class_name]X\x05\x00\x00\x00state}u\x85R.",
    "a state that is a list": MODULE
    + META
    + b"X\x0a\x00\x00\x00class_nameX\x01\x00\x00\x00GX\x05\x00\x00\x00state]u\x85R.",
    "a persistent function": MODULE + b"}X\x04\x00\x00\x00typeX\x08\x00\x00\x00functions\x85R.",
    "a persistent object of nothing": MODULE + b"N\x85R.",
    "a numpy object": SCALAR + b"X\x01\x00\x00\x00O\x85RC\x08AAAAAAAA\x86R.",
    "a numpy text": SCALAR + b"X\x02\x00\x00\x00S8\x85RC\x08AAAAAAAA\x86R.",
    "a numpy number of the wrong length": SCALAR + b"X\x02\x00\x00\x00f8\x85RC\x01A\x86R.",
    "a numpy type named by a number": b"cnumpy\ndtype\nK\x01\x85R.",
    "bytes in another encoding": b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
    "a buffer from outside": b"\x97.",
    "a read-only buffer from outside": b"\x97\x98.",
    "a memo entry that is not there": b"h\x07.",
    "a memo entry by a negative index": b"g-1\n.",
    "a memo entry that replaces a name": STAND_IN + b"q\x00K\x01q\x000h\x00)R.",
    "memory by a memo index": b"Nr\xff\xff\xff\x7f.",
    "a text that is no text": b"\x8c\x02\xff\xfe.",
    "a number that is none": b"Iabc\n.",
    "an empty stack": b"0000.",
    "a mark that is missing": b"K\x01t.",
    "a mark as a value": b"(.",
    "an instruction that does not exist": b"\xfe.",
    "a protocol that does not exist": b"\x80\x77N.",
    "no end": b"}",
}


def pickled_instructions() -> Files:
    return {f"{name}.pkl": b"\x80\x04" + content for name, content in INSTRUCTIONS.items()}


def endless_pickles() -> Files:
    """A few bytes that ask for memory or time without end."""
    doubling = b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(60))
    pairs = b"](" + b"K\x01K\x02\x86" * 20_000 + b"e"
    load_storage, nested = b"ctorch.storage\n_load_from_bytes\n", storage_file(50_000)
    bodies = {
        "a key that doubles at every step": b"}K\x01q\x00" + doubling + b"K\x02s.",
        "one list made a dict again and again": pairs + b"q\x000" + (STAND_IN + b"h\x00\x85R0") * 20_000 + b"N.",
        "one storage opened again and again": b"B"
        + struct.pack("<I", len(nested))
        + nested
        + b"q\x000"
        + (load_storage + b"h\x00\x85R") * 20_000
        + b".",
        "one text encoded again and again": b"X"
        + struct.pack("<I", 100_000)
        + b"a" * 100_000
        + b"q\x000"
        + b"c_codecs\nencode\nq\x01X\x06\x00\x00\x00latin1q\x020"
        + b"h\x01h\x00h\x02\x86R" * 20_000
        + b".",
        "a giant number": b"\x8b" + struct.pack("<I", 100_000) + b"\x7f" * 100_000 + b".",
        "a giant number in digits": b"L" + b"9" * 100_000 + b"L\n.",
        "a giant number in hexadecimal": b"I0x" + b"f" * 100_000 + b"\n.",
        "lists in lists": b"]" * 100_000 + b"a" * 99_999 + b".",
        "tuples in tuples": b")" + b"\x85" * 100_000 + b".",
        "marks without end": b"(" * 100_000 + b".",
        "bytes that are not there": b"\x8e" + struct.pack("<Q", 1 << 62) + b"short.",
        "a text that is not there": b"\x8d" + struct.pack("<Q", 1 << 62) + b"short.",
        "a bytearray that is not there": b"\x96" + struct.pack("<Q", 1 << 62) + b"short.",
        "a frame that is not there": b"\x95" + struct.pack("<Q", 1 << 62) + b"N.",
        "a bytearray of 16 GiB": b"cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x04\x85R.",
        "a range made a list": b"cbuiltins\nlist\ncbuiltins\nrange\n\x8a\x05\x00\x00\x00\x00\x04\x85R\x85R.",
    }
    return {f"{name}.pkl": b"\x80\x04" + body for name, body in bodies.items()}
