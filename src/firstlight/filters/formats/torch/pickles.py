"""Pickles as inert data: what a file says is recorded, and nothing that it names is imported or called."""

import pickletools
from collections.abc import Callable
from io import BytesIO
from typing import Any

from firstlight.errors import SourceError
from firstlight.filters.formats.torch.pickle_values import Call, Global, Malformed, Mapping
from firstlight.utils.text import printable

# A ResNet-50 with its optimizer takes 25,000 opcodes. A million keep both time and memory in bounds.
MAX_OPCODES = 1_000_000
# Bits of the longest integer: a random generator's state has 128.
_MAX_BITS = 2048
_MAX_NAME = 1000
_ORDERED = ("collections.OrderedDict", "collections.Counter")
# What a pickle may name besides what its kind of file allows: plain containers and numbers.
PLAIN = frozenset((*_ORDERED, "builtins.set", "builtins.bytearray", "builtins.complex", "_codecs.encode"))
# The text opcodes of protocols 0 and 1, whose arguments are costly to decode; no later protocol writes them.
_TEXT = {"INT", "LONG", "FLOAT", "STRING", "UNICODE", "GET", "PUT", "PERSID"}
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes if opcode.name not in _TEXT}
# Opcodes that push their argument, and those that push a constant.
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINSTRING", "SHORT_BINSTRING"}
_LITERALS |= {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


def no_persistent_ids(_: Any) -> None:
    """Refuse what stands outside of the pickle."""
    raise Malformed("a persistent id")


def read_pickle(
    stream: BytesIO,
    source: str,
    allowed: Callable[[Global], bool] = lambda _: False,
    persistent: Callable[[Any], Any] = no_persistent_ids,
    limit: int = MAX_OPCODES,
) -> Any:
    """Interpret one pickle, up to and including its STOP.

    Parameters
    ----------
    stream : BytesIO
        Where the pickle starts; left behind its end.
    source : str
        The file as messages call it.
    allowed : callable
        Whether the pickle may name this class or function, besides the plain containers.
    persistent : callable
        What a persistent id stands for; may raise :class:`Malformed`.
    limit : int
        The most opcodes that the pickle may have.

    Returns
    -------
    object
        None, bool, int, float, str, bytes, tuple, list (sets too), :class:`Mapping`, :class:`Call`, :class:`Global`,
        or what `persistent` returned. Containers may be shared, nested to any depth and contain themselves.

    Raises
    ------
    SourceError
        The pickle is malformed or too long, or names something that is not allowed.
    """
    try:
        return _Machine(source, allowed, persistent).run(stream, limit)
    except Malformed as error:
        raise SourceError(f"{source} is damaged, or torch.save did not write it: it has {error}") from error
    # What pickletools raises on arguments cut off or badly encoded (UnicodeDecodeError is a ValueError), and a stack,
    # a mark or a memo that does not hold what an opcode takes from it.
    except (ValueError, IndexError, KeyError) as error:
        raise SourceError(f"{source} is cut off or damaged: a pickle in it cannot be read") from error


class _Machine:
    """The stack machine of the standard library's `pickle`, without the part that runs anything."""

    def __init__(self, source: str, allowed: Callable[[Global], bool], persistent: Callable[[Any], Any]) -> None:
        self.source, self.allowed, self.persistent = source, allowed, persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each open mark
        self.memo: dict[int, Any] = {}
        self.globals: dict[tuple[str, str], Global] = {}
        self.copied = 0  # pairs of OrderedDicts made from lists, which a pickle can ask for again and again

    def run(self, stream: BytesIO, limit: int) -> Any:
        for _ in range(limit):
            opcode = _OPCODES.get(code := stream.read(1))
            if opcode is None:
                raise Malformed(f"the opcode {code.hex()} in its pickle" if code else "a pickle without an end")
            # pickletools would undo escapes in names, which pickle itself does not.
            is_name = opcode.name in ("GLOBAL", "INST")
            arg = (_line(stream), _line(stream)) if is_name else opcode.arg and opcode.arg.reader(stream)
            if opcode.name in _LITERALS:
                if type(arg) is int and arg.bit_length() > _MAX_BITS:
                    raise Malformed("too long an integer")
                self.stack.append(arg)
            elif opcode.name in _CONSTANTS:
                self.stack.append(_CONSTANTS[opcode.name])
            elif opcode.name == "STOP":
                return self.stack.pop()
            else:
                self.step(opcode.name, arg)
        raise SourceError(f"{self.source} has a pickle of over {limit:,} opcodes; expected a state dict")

    def step(self, name: str, arg: Any) -> None:
        """Every opcode but those that push what they carry; the frequent ones first."""
        match name:
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                self.memo[len(self.memo) if name == "MEMOIZE" else arg] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                self.stack.append(self.memo[arg])
            case "MARK":
                self.below.append(self.stack)
                self.stack = []
            case "TUPLE" | "FROZENSET":
                items = self.marked()
                self.stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.stack.append(tuple(self.popped(int(name[-1]))))
            case "REDUCE" | "NEWOBJ":
                self.call(*self.popped(2))
            case "BINPERSID":
                self.stack.append(self.persistent(self.stack.pop()))
            case "GLOBAL":
                self.name(*arg)
            case "STACK_GLOBAL":
                self.name(*self.popped(2))
            case "EMPTY_DICT":
                self.stack.append(Mapping())
            case "EMPTY_LIST" | "EMPTY_SET":
                self.stack.append([])
            case "SETITEM":
                self.fill(self.popped(2))
            case "SETITEMS":
                self.fill(self.marked())
            case "APPEND":
                self.extend(self.popped(1))
            case "APPENDS" | "ADDITEMS":
                self.extend(self.marked())
            case "BUILD":
                self.build(self.stack.pop())
            case "DICT":
                items = self.marked()
                self.stack.append(Mapping())
                self.fill(items)
            case "LIST":
                items = self.marked()
                self.stack.append(items)
            case "NEWOBJ_EX":
                *rest, keywords = self.popped(3)
                if not isinstance(keywords, Mapping) or keywords.flat:
                    raise Malformed("a call with keywords")
                self.call(*rest)
            case "INST":
                args = self.marked()
                self.name(*arg)
                self.call(self.stack.pop(), tuple(args))
            case "OBJ":
                function, *args = self.marked()
                self.call(function, tuple(args))
            case "POP" if self.stack:
                self.stack.pop()
            case "POP" | "POP_MARK":
                self.marked()
            case "DUP":
                self.stack.append(self.stack[-1])
            case "PROTO" | "FRAME":
                pass
            case _:
                raise Malformed(f"the opcode {name} in its pickle")

    def marked(self) -> list[Any]:
        """Take off what was pushed since the last mark."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def popped(self, count: int) -> list[Any]:
        """Take off so many values, the last one last."""
        if len(self.stack) < count:
            raise Malformed("an opcode without its arguments")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def extend(self, items: list[Any]) -> None:
        top = self.stack[-1].items if isinstance(self.stack[-1], Call) else self.stack[-1]
        if type(top) is not list:
            raise Malformed("items for what is no list")
        top.extend(items)

    def fill(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], Mapping | Call) or len(items) % 2:
            raise Malformed("keys for what is no dict")
        self.stack[-1].flat.extend(items)

    def build(self, state: Any) -> None:
        if isinstance(self.stack[-1], Call):
            self.stack[-1].state = state
        elif not isinstance(self.stack[-1], Mapping):  # an OrderedDict's attributes, such as _metadata, are not needed
            raise Malformed("a state for what has none")

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > _MAX_NAME:
            raise Malformed("a class or function without a proper name")
        if (found := self.globals.get((module, name))) is None:
            # Python 2 called this module otherwise, and protocols up to 2 keep its name.
            found = Global("builtins" if module == "__builtin__" else module, name)
            if found.path not in PLAIN and not self.allowed(found):
                raise SourceError(
                    f"{self.source} names {printable(found.path, 200)}, which weights do not need and which could run "
                    "code; expected tensors and plain objects: load it nowhere unless you trust who made it"
                )
            self.globals[module, name] = found
        self.stack.append(found)

    def call(self, function: Any, args: Any) -> None:
        match function:
            case Call(Global(path="builtins.getattr"), (Global() as owner, str(method))):
                # So protocols up to 3 write a method of a class.
                self.name(owner.module, f"{owner.name}.{method}")
                function = self.stack.pop()
        if not isinstance(function, Global) or not isinstance(args, tuple):
            raise Malformed("a call of what is no function")
        self.stack.append(self.ordered(args) if function.path in _ORDERED else Call(function, args))

    def ordered(self, args: tuple) -> Mapping:
        match args:
            case ():
                return Mapping()
            case (Mapping() as mapping,):
                return mapping
            case (list() as pairs,):  # so Python 2 wrote an OrderedDict
                self.copied += len(pairs)
                if self.copied <= MAX_OPCODES and all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs):
                    return Mapping([part for pair in pairs for part in pair])
        raise Malformed("an OrderedDict of something else")


def _line(stream: BytesIO) -> str:
    line = stream.readline(_MAX_NAME)
    if not line.endswith(b"\n"):
        raise Malformed("a name without an end")
    return line[:-1].decode()
