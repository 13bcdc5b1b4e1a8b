"""How the program ends, whatever happens: its exit codes, signals, and one line for what goes wrong.

Nothing that costs time is imported here: an interruption may come while everything else is.
"""

import _thread
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from firstlight.errors import FirstlightError

BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 2, 130, 141  # and 143: terminated
_TRACEBACK = "--traceback"
_AGAIN = 0.05  # seconds until an interruption that was lost comes again
_GOES_ON = "what takes long goes on where it was when the same command is given again"

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_stopped: int | None = None  # the signal that asked for the end


def run_to_end(arguments: Sequence[str] | None) -> int:
    """Run a command; returns the exit code. Without arguments it is the whole process: its signals are caught, too."""
    global _stopped
    _stopped = None
    given = list(sys.argv[1:] if arguments is None else arguments)
    end = given.index("--") if "--" in given else len(given)
    tracing = _TRACEBACK in given[:end]
    given = [*(one for one in given[:end] if one != _TRACEBACK), *given[end:]]
    if arguments is None:
        _own_process(tracing)
    streams = sys.stdout, sys.stderr
    try:
        code = _code(given, tracing)
        if _stopped is not None:  # a library made another error of it, or kept it for itself
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        code = _interrupted()
    _give_up_writing()
    sys.stdout, sys.stderr = streams
    if arguments is None:  # all is done: the interpreter's own end is not interrupted, which it would say in its way
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return code


def _code(given: Sequence[str], tracing: bool) -> int:
    try:
        _filter_streams()
        from firstlight.cli.command_line import run

        code = run(given)
        _flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        return BROKEN_PIPE
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error.__context__, BrokenPipeError) and isinstance(error, SystemExit):  # as rich ends, with 1
            return BROKEN_PIPE
        if isinstance(error, MemoryError) and not tracing:
            error.__traceback__ = error.__context__ = None  # what the failed call still holds: telling takes some, too
        if _stopped is None:
            _tell(_line(_of_output(error)), tracing)
        return BAD_INPUT
    return code


def _filter_streams() -> None:
    from firstlight.utils.visible import VisibleStream

    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters gets question marks
        setattr(sys, name, VisibleStream(stream))


def _line(error: BaseException) -> str:
    """What is said of an error."""
    from firstlight.utils.text import first_line, one_line

    if isinstance(error, FirstlightError | OSError):
        return f"error: {one_line(error)}"
    if isinstance(error, MemoryError):
        return (
            f"error: memory ran out ({first_line(error)}); expected more to be free: close other programs, or read less"
        )
    return (
        f"error: unexpected {first_line(error, kind=True)}{_place(error)}; expected none: give the command again with "
        f"{_TRACEBACK}, and report what it prints"
    )


def _place(error: BaseException) -> str:
    """The last line of this package that an error passed."""
    place, step = "", error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        _, package, name = file.rpartition(f"{os.sep}firstlight{os.sep}")
        if package and step.tb_frame.f_globals.get("__name__") != __name__:
            place = f" in {name}, line {step.tb_lineno}"
        step = step.tb_next
    return place


def _tell(line: str, tracing: bool = False) -> None:
    try:
        if tracing:
            import traceback

            traceback.print_exc()
        print(f"firstlight: {line}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass  # nobody is there to be told


def _interrupted() -> int:
    if lines := sys.modules.get("firstlight.utils.progress_line"):
        lines.stop_line()
    number = _stopped or signal.SIGINT
    _tell(f"{_word(number)}; {_GOES_ON}")
    return 128 + number


def _word(number: int) -> str:
    return "interrupted" if number == signal.SIGINT else "terminated"


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        from firstlight.utils.targets import refusal

        raise refusal("standard output", error) from None


def _of_output(error: BaseException) -> BaseException:
    """The error as it is told: that of a full disk without a name is of what is printed, since files are named."""
    if isinstance(error, OSError) and error.filename is None and error.errno in _FULL:
        from firstlight.utils.targets import refusal

        return refusal("standard output", error)
    return error


def _give_up_writing() -> None:
    """What cannot be written is not tried again when the interpreter ends, which would say so in lines of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _own_process(tracing: bool) -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by >&-
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for the rest of the process
    process = os.getpid()

    def stop(number: int, _: FrameType | None) -> None:
        global _stopped
        if os.getpid() != process:  # a child that was forked
            os._exit(128 + number)
        if _stopped is not None:  # asked again: at once
            os.write(2, f"firstlight: {_word(number)}; {_GOES_ON}\n".encode())
            os._exit(128 + number)
        _stopped = number
        raise KeyboardInterrupt

    def ignored(told: "sys.UnraisableHookArgs") -> None:
        global _stopped
        if issubclass(told.exc_type, KeyboardInterrupt) and _stopped is not None:  # it came where none can pass
            number, _stopped = _stopped, None
            threading.Timer(_AGAIN, _thread.interrupt_main, [number]).start()
        elif tracing:
            sys.__unraisablehook__(told)

    def in_thread(told: threading.ExceptHookArgs) -> None:
        if tracing:
            threading.__excepthook__(told)
        elif told.exc_value is not None and told.exc_type is not SystemExit:
            _tell(_line(told.exc_value))

    sys.unraisablehook, threading.excepthook = ignored, in_thread
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as of what runs in the background
            signal.signal(number, stop)
