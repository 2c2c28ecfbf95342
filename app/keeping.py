"""What a visitor's own browser keeps of a visit (app/keeping.js): its project, in parts, those it lacks."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

from app import messages
from app.downloads import MAX_BYTES, project_of
from app.messages import Message
from app.toasts import toast
from app.visits import Visit
from core.engine import Engine
from core.errors import BadRequest, VisagistError
from core.projects.archive import MIMETYPE, MIMETYPE_ENTRY
from core.projects.parts import Part
from core.projects.project import parts_of
from core.session import SessionStore

TOO_LARGE = "This photo is too large for the browser to keep; save a project before you leave."


class Keeping:
    """Called by the page itself after each pause, so that answers carry errors too. Keeps nothing itself."""

    def __init__(self, engine: Engine, visits: SessionStore[Visit]) -> None:
        self._engine, self._visits = engine, visits

    def keep(self, payload: object) -> Message:
        """{"name": of the visit, "known_as": of its face, "parts": of its project's file, in order}.

        payload: {"token", "have": keys of parts that the browser holds}. Each part has a "name", a "key" and,
        where the browser lacks it, "data" in base64 and its "crc"; where that is empty the file goes without.
        """
        try:
            have = payload.get("have") if isinstance(payload, Mapping) else None
            if not isinstance(payload, Mapping) or not isinstance(have, list):
                raise BadRequest("The visit was asked for in an unknown way; reload the page.")
            return self._keep(self._visits.get(str(payload.get("token"))), {str(key) for key in have})
        except VisagistError as error:
            return {"error": str(error)}
        except Exception as error:
            return {"error": toast(error).message}

    def _keep(self, visit: Visit, have: set[str]) -> Message:
        parts = {MIMETYPE_ENTRY: Part.of(MIMETYPE), **parts_of(project_of(self._engine, visit))}
        described, size = [], 0
        for name, part in parts.items():
            content = None if part.key in have else part.make() or b""
            described.append(_described(name, part.key, content))
            size += len(content or b"")
            if size > MAX_BYTES:
                raise BadRequest(TOO_LARGE)
        return {"name": visit.stem, "known_as": messages.known_as(visit.portrait), "parts": described}


def _described(name: str, key: str, content: bytes | None) -> dict[str, Any]:
    """content: None where the browser has it."""
    if content is None:
        return {"name": name, "key": key}
    data = base64.b64encode(content).decode("ascii")
    return {"name": name, "key": key, "crc": zlib.crc32(content), "data": data}
