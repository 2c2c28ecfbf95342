"""What a visitor takes home: the edited photo at its own resolution, or everything as a project."""

from collections.abc import Mapping

from app import messages
from app.messages import SETTINGS, Message
from app.references import References
from app.toasts import toast
from app.visits import Visit, parse_request
from core.engine import Engine
from core.errors import BadRequest, VisagistError
from core.exporting import export
from core.projects.project import Project, save_project
from core.session import EditRequest, SessionStore

# Files travel to the page as text, of which browsers hold half a gigabyte at once.
MAX_BYTES = 380 * 10**6


class Downloads:
    """Called by the stage itself, so that answers carry errors too."""

    def __init__(self, engine: Engine, visits: SessionStore[Visit], references: References) -> None:
        self._engine, self._visits, self._references = engine, visits, references

    def export(self, payload: object) -> Message:
        """The edit on the stage as a file: the whole photo, however much of it the stage shows.

        payload: {"token", "format": "png", "jpeg" or "project", "request": as in a message},
        "notes": false where the file is to say nothing of date, rights and camera.
        """
        try:
            if not isinstance(payload, Mapping) or not isinstance(payload.get("request"), Mapping):
                raise BadRequest("The download was asked for in an unknown way; reload the page.")
            asked, kind = payload["request"], payload.get("format")
            if kind not in ("png", "jpeg", "project"):
                raise BadRequest(
                    "A picture is downloaded as PNG or JPEG, all of it as a project; choose one."
                )
            token, sliders = str(payload.get("token")), asked.get("sliders")
            takes = self._references.takes(token, asked.get("takes"))
            settings = {name: asked.get(name) for name in SETTINGS}
            request = parse_request(sliders if isinstance(sliders, Mapping) else {}, takes=takes, **settings)
            visit = self._visits.get(token)
            if kind == "project":
                return self._project(visit.with_edit(visit.possible(request)))
            return self._picture(visit, request.seen(output="photo"), kind, payload.get("notes") is not False)
        except VisagistError as error:
            return {"error": str(error)}
        except Exception as error:
            return {"error": toast(error).message}

    def _picture(self, visit: Visit, request: EditRequest, kind: str, notes: bool) -> Message:
        exported = export(self._engine, (visit.portrait,), request, visit.original, kind.upper(), notes)
        if len(exported.data) > MAX_BYTES:
            raise BadRequest("This picture is too large a file for a browser; download it as JPEG.")
        return messages.download(exported, kind)

    def _project(self, visit: Visit) -> Message:
        faces = (face.reference for face in visit.faces)
        project = Project.of(self._engine, visit.portrait, visit.history, visit.cursor, faces, visit.original)
        return messages.file(save_project(project), "portrait.visagist", "application/octet-stream")
