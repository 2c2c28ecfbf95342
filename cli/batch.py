"""Many photos, one after the other: what is done is not done again, and what fails does not stop the rest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cli.editing import Asked, edited, read
from cli.ledger import Ledger, key_of
from cli.places import Job, Plan
from cli.streams import say
from core.engine import Engine
from core.errors import CannotWrite, VisagistError
from core.files import clear_left, write_whole

Answer = dict[str, Any]


class SomeFailed(VisagistError):
    """Some photos of a batch could not be edited; says how many, which and why."""


@dataclass(frozen=True, eq=False)
class Batch:
    """names: what references are called, by their keys; tell: is given an answer for each photo, at once."""

    engine: Engine
    asked: Asked
    names: Mapping[str, str]
    tell: Callable[[Answer], None]

    def run(self, plan: Plan) -> Answer:
        """{"photos", "written", "there": how many were done before, "out"}.

        A photo's answer is that of `Edited.answer` with "done_before", or {"photo", "error"}.
        Raises: SomeFailed when all others are done; CannotWrite at once: no other picture could be written.
        """
        assert plan.folder is not None
        for folder in {Path(job.out).parent for job in plan.jobs}:
            clear_left(folder)
        ledger = Ledger(plan.folder)
        failed: dict[str, str] = {}
        there = 0
        with tqdm(plan.jobs, desc="Editing", unit="photo", disable=None) as bar:
            for job in bar:
                answer = self._answer(job, ledger)
                bar.clear()
                self.tell(answer)
                bar.refresh()
                there += answer.get("done_before", False)
                if "error" in answer:
                    failed[job.source] = answer["error"]
        count = len(plan.jobs)
        if failed:
            lines = (f"{source}: {reason}" for source, reason in failed.items())
            raise SomeFailed("\n".join([f"{len(failed)} of {count} photos could not be edited:", *lines]))
        return {"photos": count, "written": count - there, "there": there, "out": str(plan.folder)}

    def _answer(self, job: Job, ledger: Ledger) -> Answer:
        try:
            return self._done(job, ledger)
        except CannotWrite:
            raise
        except VisagistError as error:
            return {"photo": job.source, "error": str(error)}
        except Exception as error:  # a fault of ours; a night's other photos need not suffer for it
            what = " ".join(f"{type(error).__name__}: {error}".split())
            return {"photo": job.source, "error": f"Visagist failed at this photo ({what:.200})."}

    def _done(self, job: Job, ledger: Ledger) -> Answer:
        model = self.engine.config.to_dict(), self.engine.fingerprint
        out = Path(job.out)
        key = key_of(Path(job.source), [model, self.asked.to_json()])
        before = ledger.answer(out, key)
        if before is not None:
            return {**before, "photo": job.source, "out": job.out, "done_before": True}
        found = edited(self.engine, read(job.source), self.asked, job.out)
        if found.notice is not None:
            say(f"{job.source}: {found.notice}")
        _make(out.parent)
        write_whole(out, found.picture.data)
        answer = {**found.answer(job.source, job.out, self.names), "done_before": False}
        ledger.add(out, key, answer)
        return answer


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"Cannot make the folder {str(folder)!r}: {error.strerror}.") from error
