"""What a visitor who zooms in is shown: the picture at rest in all its pixels, where the stage had fewer."""

from app.messages import STILL_QUALITY, Message, data_url, message, next_number
from app.toasts import toasted
from app.visits import Visit
from core.engine import Engine
from core.session import EditRequest, SessionStore


class Closer:
    """Called when a visitor has zoomed in and everything rests; changes nothing."""

    def __init__(self, engine: Engine, visits: SessionStore[Visit]) -> None:
        self._engine, self._visits = engine, visits

    def look(self, token: str, request: EditRequest, before: bool) -> Message:
        """The edit, not reduced; before: whether the photo as it was is wanted as well.

        Raises: gr.Error.
        """
        return toasted(self._look)(token, request, before)

    def _look(self, token: str, request: EditRequest, before: bool) -> Message:
        number, visit = next_number(), self._visits.get(token)
        possible = visit.possible(request)
        picture = self._engine.edit(visit.portrait, visit.portrait.shown(possible))
        picture = visit.together(picture, possible)
        photo = data_url(visit.portrait.photo, STILL_QUALITY) if before else None
        return message("closer", number, frame=data_url(picture, STILL_QUALITY), before=photo)
