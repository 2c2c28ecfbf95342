"""What a visitor takes home: the edited photo at its own resolution, or everything as a project."""

from collections.abc import Mapping
from typing import Any

from app import messages
from app.messages import SETTINGS, Message
from app.references import References
from app.toasts import toast
from app.visits import Visit, parse_request
from core.engine import Engine
from core.errors import BadRequest, VisagistError
from core.exporting import ExportOrder, export
from core.pictures.writing import SUFFIXES
from core.projects.project import Project, save_project
from core.session import EditRequest, SessionStore

# Files travel to the page as text, of which browsers hold half a gigabyte at once.
MAX_BYTES = 380 * 10**6
# As the page says them; beside them "project".
FORMATS = {kind.lower(): kind for kind in SUFFIXES}


class Downloads:
    """Called by the stage itself, so that answers carry errors too."""

    def __init__(self, engine: Engine, visits: SessionStore[Visit], references: References) -> None:
        self._engine, self._visits, self._references = engine, visits, references

    def export(self, payload: object) -> Message:
        """The edit on the stage as a file, however much of it the stage shows.

        payload: {"token", "request": as in a message, "format": "png", "jpeg", "tiff", "webp" or "project"};
        of a picture also, where it is not the usual, "picture", "quality" and "notes" of an `ExportOrder`.
        """
        try:
            order = _order(payload if isinstance(payload, Mapping) else {})
            _, request, visit = asked_of(payload, self._visits, self._references)
            if order is None:
                return self._project(visit.with_edit(visit.possible(request)))
            return self._picture(visit, request, order)
        except VisagistError as error:
            return {"error": str(error)}
        except Exception as error:
            return {"error": toast(error).message}

    def _picture(self, visit: Visit, request: EditRequest, order: ExportOrder) -> Message:
        others = [other.edits for other in visit.others]
        shown = visit.portrait.shown(request)
        made = export(self._engine, (visit.portrait,), shown, visit.original, order, others)
        if len(made.data) > MAX_BYTES:
            raise BadRequest("This picture is too large a file for a browser; export it as JPEG.")
        return messages.exported(made, order, visit.stem)

    def _project(self, visit: Visit) -> Message:
        data = save_project(project_of(self._engine, visit))
        return messages.file(data, f"{visit.stem}.visagist", "application/octet-stream")


def project_of(engine: Engine, visit: Visit) -> Project:
    """All of a visit, as it is kept in a file."""
    faces = (face.reference for face in visit.faces)
    kept = visit.portrait, visit.history, visit.cursor, faces, visit.original
    return Project.of(engine, *kept, [other.edits for other in visit.others])


def asked_of(
    payload: object, visits: SessionStore[Visit], references: References
) -> tuple[str, EditRequest, Visit]:
    """Who asks for a file, of which edit, and of which visit.

    payload: {"token", "request": as in a message}. Raises: BadRequest, SessionExpired.
    """
    if not isinstance(payload, Mapping) or not isinstance(payload.get("request"), Mapping):
        raise BadRequest("The export was asked for in an unknown way; reload the page.")
    token, asked = str(payload.get("token")), payload["request"]
    sliders, takes = asked.get("sliders"), references.takes(token, asked.get("takes"))
    settings = {name: asked.get(name) for name in SETTINGS}
    request = parse_request(sliders if isinstance(sliders, Mapping) else {}, takes=takes, **settings)
    return token, request, visits.get(token)


def _order(payload: Mapping[str, Any]) -> ExportOrder | None:
    """The picture that is ordered; None: a project. Raises: BadRequest."""
    name = payload.get("format")
    if name not in [*FORMATS, "project"]:
        raise BadRequest("An export is a picture as PNG, JPEG, TIFF or WebP, or a project; choose one.")
    if name == "project":
        return None
    wishes = {wish: payload[wish] for wish in ("picture", "quality", "notes") if wish in payload}
    return ExportOrder(FORMATS[name], **wishes)
