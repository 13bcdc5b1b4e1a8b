"""What is raised on a damaged file: one list, for all that is read."""

import struct
import tokenize
import zipfile
import zlib

# By parsers of archives, arrays and JSON, and by looking into what these hold where it has another shape. SyntaxError
# and TokenError come from NumPy's headers; RecursionError and NotImplementedError are RuntimeErrors.
DAMAGE: tuple[type[Exception], ...] = (zipfile.BadZipFile, zlib.error, struct.error, SyntaxError, tokenize.TokenError)
DAMAGE += (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError)
DAMAGE += (MemoryError,)
