"""The C library: where it is, its functions, its errors, and how its long calls are run."""
import ctypes
import os
import signal
import sys
import threading
import warnings
from contextlib import contextmanager
from ctypes import c_char, c_char_p, c_double, c_int, c_int32, c_int64, c_uint64, c_void_p

from ._version import __version__

EUSAGE, EDATA, EINTERRUPT = 1, 2, 130                                           # iso_status
WARN, PROGRESS = 0, 2                                                           # iso_log_level


class Error(Exception):
    """What the library says when it cannot do what was asked. `status` is the exit code of the shell's command: 1 usage, 2 data,
    3 reading or writing, 4 numbers, 5 memory."""

    def __init__(self, status, message, where=""):
        super().__init__(message)
        self.status, self.where = status, where


# ------------------------------------------------------------------------------------------ as in isolario.h


class _CError(ctypes.Structure):
    _fields_ = [("status", c_int), ("where", c_char * 64), ("msg", c_char * 1024)]


class _COption(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("letter", c_char), ("group", c_char_p), ("type", c_int), ("preset", c_char_p), ("min", c_double),
                ("max", c_double), ("choices", c_char_p), ("metavar", c_char_p), ("commands", c_char_p), ("help", c_char_p)]


_LOG = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_double, c_double)
_ERROR, _OUT = ctypes.POINTER(_CError), ctypes.POINTER(c_void_p)
_NAMES = ctypes.POINTER(c_char_p)
# Name: result, arguments. Objects and arrays are pointers.
_FUNCTIONS = {
    "iso_version_long": (c_char_p,),
    "iso_env_new": (c_void_p, c_int),
    "iso_env_free": (None, c_void_p),
    "iso_env_set_log": (None, c_void_p, _LOG, c_void_p),
    "iso_env_interrupt": (None, c_void_p),
    "iso_option_find": (ctypes.POINTER(_COption), c_char_p),
    "iso_options_new": (c_void_p,),
    "iso_options_free": (None, c_void_p),
    "iso_options_set": (c_int, c_void_p, c_char_p, c_char_p, _ERROR),
    "iso_options_append": (c_int, c_void_p, c_char_p, c_char_p, _ERROR),
    "iso_dataset_read": (c_int, c_void_p, c_char_p, c_void_p, _OUT, _ERROR),
    "iso_dataset_free": (None, c_void_p),
    "iso_dataset_n_cells": (c_int64, c_void_p),
    "iso_dataset_from_counts": (c_int, c_char_p, c_int64, c_int64, c_void_p, c_void_p, c_void_p, _NAMES, _NAMES, _OUT, _ERROR),
    "iso_dataset_from_images": (c_int, c_char_p, c_int64, c_int64, c_int64, c_int64, c_void_p, _NAMES, _NAMES, _OUT, _ERROR),
    "iso_dataset_add_categories": (c_int, c_void_p, c_char_p, c_void_p, c_int32, _NAMES, _ERROR),
    "iso_dataset_add_integers": (c_int, c_void_p, c_char_p, c_void_p, _ERROR),
    "iso_dataset_add_numbers": (c_int, c_void_p, c_char_p, c_void_p, _ERROR),
    "iso_model_fit": (c_int, c_void_p, c_void_p, c_void_p, _OUT, _ERROR),
    "iso_model_save": (c_int, c_void_p, c_void_p, c_char_p, _ERROR),
    "iso_model_load": (c_int, c_void_p, c_char_p, _OUT, _ERROR),
    "iso_model_free": (None, c_void_p),
    "iso_model_describe": (c_int, c_void_p, _OUT, _ERROR),
    "iso_text_free": (None, c_void_p),
    "iso_model_embed": (c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, _ERROR),
    "iso_model_score": (c_int, c_void_p, c_void_p, c_void_p, c_int, c_int, c_uint64, c_void_p, c_void_p, c_void_p, _ERROR),
    "iso_model_decode": (c_int, c_void_p, c_void_p, c_int64, c_void_p, c_void_p, _ERROR),
    "iso_model_decode_images": (c_int, c_void_p, c_void_p, c_int64, c_void_p, c_void_p, _ERROR),
    "iso_model_embed_invariant": (c_int, c_void_p, c_void_p, c_void_p, c_void_p, _ERROR),
    "iso_model_reconstruct": (c_int, c_void_p, c_void_p, c_void_p, c_void_p, _ERROR),
    "iso_model_sample": (c_int, c_void_p, c_void_p, c_int64, c_uint64, c_void_p, _ERROR),
}


def _open():
    """What ISOLARIO_LIBRARY names, else where the system looks for libraries."""
    try:
        library = ctypes.CDLL(os.environ.get("ISOLARIO_LIBRARY") or "libisolario.so.0")
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise ImportError(f"{error}. This package needs the C library of Isolario: run `make install` in its sources, and `ldconfig` "
                          "if it is new there, or name libisolario.so in the environment variable ISOLARIO_LIBRARY") from error
    version = library.iso_version_long().decode().split()[1].rstrip(",")
    if version != __version__:
        raise ImportError(f"the C library is Isolario {version}, this package is of {__version__}: install both from the same sources")
    return library


library = _open()


# ------------------------------------------------------------------------------------------------ calling it


def call(name, *arguments):
    """A function that returns a status and takes an iso_error last."""
    error = _CError()
    status = getattr(library, name)(*arguments, ctypes.byref(error))
    if status:
        raise Error(status, error.msg.decode("utf-8", "replace"), error.where.decode("utf-8", "replace"))


def text_of(text):
    """A text as C has it."""
    try:
        encoded = str(text).encode()
    except UnicodeEncodeError:
        raise Error(EUSAGE, f"{text!r} is not text that can be written as UTF-8") from None
    if b"\0" in encoded:
        raise Error(EUSAGE, f"{text!r} has a zero character in it")
    return encoded


def names_of(texts):
    """Texts as C has them; None: NULL."""
    return None if texts is None else (c_char_p * len(texts))(*[text_of(t) for t in texts])


def _print(level, message, fraction):
    print(f"isolario: {message}", file=sys.stderr, flush=True)


class _Log:
    """What a call says: warnings are kept, the rest goes to `tell`, progress only when its words change."""

    def __init__(self, verbose):
        self.tell = verbose if callable(verbose) else _print if verbose else None
        self.warnings, self.last = [], ""

    def hear(self, _, level, message, fraction, eta):
        message = message.decode("utf-8", "replace")
        if level == WARN:
            self.warnings.append(message)
        elif self.tell and (level != PROGRESS or message != self.last):
            self.last = message
            self.tell("progress" if level == PROGRESS else "info", message, fraction)


@contextmanager
def _interrupts(env):
    """For its time Ctrl-C raises nothing, which would leave the library at work on memory that is gone: it asks the library to stop.
    A list that is not empty once that was done. Only the main thread hears Ctrl-C."""
    heard = []

    def stop(*_):
        heard.append(True)
        library.iso_env_interrupt(env)

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield heard
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, before)


def _wait(thread, env):
    try:
        thread.join()
    except BaseException:                                                        # of another signal's handler
        library.iso_env_interrupt(env)
        thread.join()
        raise


def run(name, *arguments, threads=0, verbose=False):
    """A function that takes an environment first, in a thread of its own, so that Ctrl-C is heard here. True: it was interrupted
    and came to a good end all the same; then it is the caller's to raise."""
    env = library.iso_env_new(threads)
    if not env:
        raise MemoryError("no memory for an environment of Isolario")
    log, failure = _Log(verbose), []
    hear = _LOG(log.hear)                                                        # has to live as long as env

    def work():
        try:
            call(name, env, *arguments)
        except BaseException as error:
            failure.append(error)

    library.iso_env_set_log(env, hear, None)
    thread = threading.Thread(target=work)
    try:
        with _interrupts(env) as interrupted:
            thread.start()
            _wait(thread, env)
    finally:
        library.iso_env_free(env)
    for message in log.warnings:
        warnings.warn(message, stacklevel=4)
    if failure and getattr(failure[0], "status", 0) == EINTERRUPT:
        raise KeyboardInterrupt(str(failure[0]))
    if failure:
        raise failure.pop()                                                      # which would else hold this frame, and this frame it
    return bool(interrupted)


# --------------------------------------------------------------------------------------------------- options


class Options:
    """Options of a command by their names, checked by the library; to be used in a `with`."""

    # what only the shell's command does
    SHELL = {"inputs", "output", "force", "quiet", "json", "memory"}

    def __init__(self, command, values):
        self.handle = library.iso_options_new()
        try:
            for name, value in values.items():
                self._check(command, name)
                self._set(name, value)
        except BaseException:
            library.iso_options_free(self.handle)
            raise

    @staticmethod
    def _check(command, name):
        row = library.iso_option_find(name.encode())
        if not row:
            return                                                               # _set says what is near
        commands = row.contents.commands.decode().split()
        if name in Options.SHELL or not ("*" in commands or command in commands):
            raise Error(EUSAGE, f'{command} takes no option "{name}" in Python')

    def _set(self, name, value):
        if isinstance(value, (list, tuple)):
            for item in value:
                call("iso_options_append", self.handle, name.encode(), text_of(item))
            return
        text = {"True": "true", "False": "false"}.get(str(value), value)
        call("iso_options_set", self.handle, name.encode(), None if text is None else text_of(text))

    def __enter__(self):
        return self.handle

    def __exit__(self, *_):
        library.iso_options_free(self.handle)
