"""Every failure a visitor can cause, each with one clear sentence as its message."""


class VisagistError(Exception):
    """Base of the errors whose message is written for the visitor (exit code 2, a toast)."""


class BadImage(VisagistError):
    """The file is not an image we can or dare open."""


class NoFaceFound(VisagistError):
    """No face, or not the face that was asked for."""


class BadRequest(VisagistError):
    """An edit request names an unknown attribute or holds a value out of range."""


class CannotWrite(BadRequest):
    """A file cannot be written; what was there is as it was."""


class BadCheckpoint(VisagistError):
    """A model bundle is missing, incomplete or corrupt."""


class BadProject(VisagistError):
    """The file is no project we can or dare open, or there is more than one can hold."""


class BadLook(VisagistError):
    """The text is no look that we can or dare read."""


class OutOfMemory(VisagistError):
    """The device has no room for a refinement; everything is as it was."""


class RefinementFailed(VisagistError):
    """The optimisation of a refinement met no finite number; everything is as it was."""


class Cancelled(VisagistError):
    """The visitor took a refinement back, or waits for a picture no more; everything is as it was."""


class SessionExpired(VisagistError):
    """The visitor's portrait has left the server's memory."""
