"""What firstlight raises: one family, whose messages name the value, the expectation and the remedy."""


class FirstlightError(Exception):
    """Base of every error that a caller or a user can mend; the command line prints it as one line.

    Examples
    --------
    >>> import firstlight as fl
    >>> try:
    ...     fl.load_images("cifar11")
    ... except fl.FirstlightError as error:
    ...     print(type(error).__name__, str(error).split(";")[0])
    InputError no data set is called 'cifar11'
    """


class InputError(FirstlightError, ValueError):
    """An argument, array or file is not what was expected."""


class NonFiniteWeights(InputError):
    """Filters hold NaN or infinity."""


class SourceError(FirstlightError):
    """Images or filters could not be obtained from where they were asked for."""


class MachineError(FirstlightError):
    """This machine is in trouble, such as without memory; nothing is wrong with what was read."""

    stays = False
    """Whether it was tried again, to no avail."""


class EngineError(FirstlightError):
    """Tasks cannot be run where they were sent, or not to their end; what was handed out before is good."""


class RunError(FirstlightError):
    """A training run on disk, or a training in progress, cannot be used or continued."""


class OutputError(FirstlightError, OSError):
    """A file cannot be written; the message names it, and `errno` and `strerror` are those of the system."""

    def __str__(self) -> str:
        return str(self.args[0])
