"""What a line is told beside its own rules: go home, go away, stay.

Sans-I/O, like the agent whose part it is.
"""

from collections.abc import Sequence

from registrations.binding import HOLDING, Phase
from registrations.course import Course
from registrations.report import WishResult
from registrations.values import News, Outcome, Verdict

HOME, DRAIN, ROLLBACK, DRILL = "failback", "drain", "rollback", "drill"
"""Wishes that move a line: to its primary, off a server that is drained, off the primary (two)."""
ERRANDS = frozenset({HOME, DRAIN, ROLLBACK, DRILL})
LONGEST_REASON = 300

_ALREADY_HOME = WishResult("already_there", "It was on the primary already.", 0.0)
_ALREADY_AWAY = WishResult("already_there", "It was elsewhere already.", 0.0)
_NOWHERE = WishResult("failed", "No other server of its group may be asked now.", 0.0)


class Errand:
    """An order that moves the line now. `result` is there as soon as it is known what came of it.

    `courses` are the line's bindings in order: one of a failover group, one per fallback entry.
    """

    def __init__(self, wish: str, courses: Sequence[Course], news: News) -> None:
        self._wish = wish
        self._courses = courses
        self._news = news
        self._course = courses[0]
        self._index = 0
        self._left: list[int] = []
        self._started_at: float | None = None
        self.result: WishResult | None = None

    @property
    def is_under_way(self) -> bool:
        return self._started_at is not None and self.result is None

    def cause(self, is_home: bool) -> str | None:
        """Return the cause of a change now, if it is this errand's. `is_home`: to the primary."""
        if not self.is_under_way:
            return None
        if self._wish == HOME:
            return "forced_failback" if is_home else None
        return "moved_away"

    def begin(self, now: float) -> Course | None:
        """Set out. Return the binding that was given up at once, because another one works."""
        if self._wish == HOME:
            self._begin_home(now)
            return None
        holder = _holder(self._courses)
        if holder is None or not self._is_to_leave(holder):
            self.result = _ALREADY_AWAY
            return None
        self._course, self._left = holder, holder.places(now)
        if not self._left:
            return self._leave_entry(now)
        self._started_at = now
        self._go_on(now)
        return None

    def is_about(self, course: Course) -> bool:
        """Say whether the try of `course` that is over is this errand's."""
        is_its_try = course is self._course and course.binding.trying == self._index
        return self.is_under_way and is_its_try

    def conclude(self, outcome: Outcome, now: float) -> None:
        """Take what became of the try: it is done, or the next place is asked."""
        is_taken = outcome.verdict is Verdict.BOUND
        if not is_taken and self._left and self._course.binding.phase is Phase.BOUND:
            self._go_on(now)
            return
        result, reason = "failed", outcome.sentence
        if is_taken:
            result, reason = "moved", f"{self._goal()} took it."
        elif outcome.verdict is Verdict.REFUSED:
            result = "refused"
        took = now - (self._started_at or now)
        self.result = WishResult(result, reason[:LONGEST_REASON], took)

    def given_up(self) -> None:
        """The entry of a fallback group is left; the next one holds the line already."""
        self.result = WishResult("moved", "Another entry holds it already.", 0.0)

    def _begin_home(self, now: float) -> None:
        course = self._course
        if course.binding.phase in HOLDING and course.binding.current == 0:
            self.result = _ALREADY_HOME
        elif not course.targets:
            self.result = WishResult("failed", course.story()[:LONGEST_REASON], 0.0)
        else:
            self._started_at = now
            course.come_home(now)

    def _goal(self) -> str:
        course = self._course
        return "The primary" if self._wish == HOME else course.label(course.targets[self._index])

    def _is_to_leave(self, holder: Course) -> bool:
        if self._wish == DRAIN:
            return holder.current_target().server_id in self._news.drained
        return holder is self._courses[0] and holder.binding.current == 0

    def _go_on(self, now: float) -> None:
        self._index = self._left.pop(0)
        self._course.go_away(self._index, now)

    def _leave_entry(self, now: float) -> Course | None:
        """Another entry of a fallback group holds the line too: it works from now on."""
        course, drained = self._course, self._news.drained
        others = [c for c in self._courses if c is not course and c.binding.phase in HOLDING]
        if all(other.current_target().server_id in drained for other in others):
            self.result = _NOWHERE
            return None
        self._started_at = now
        course.rest(max(_drained_until(course, self._news), self._news.stays_until), now)
        return course


def keep_back(courses: Sequence[Course], news: News, now: float) -> None:
    """Let no fallback entry register again that is to stay away while another one works.

    Inside one list of servers the machine's own rules see to it.
    """
    holder = _holder(courses)
    for place, course in enumerate(courses):
        if course.binding.phase in HOLDING:
            continue
        others = [other for other in courses if other is not course]
        drained_until = _drained_until(course, news)
        if any(_has_hope(other, news) for other in others) and drained_until > now:
            course.kept_away_until = drained_until
        elif holder is not None and place < courses.index(holder):
            course.kept_away_until = news.stays_until


def let_go(courses: Sequence[Course]) -> None:
    """No entry works any more: each of them may register again."""
    for course in courses:
        course.kept_away_until = 0.0


def _holder(courses: Sequence[Course]) -> Course | None:
    return next((course for course in courses if course.binding.phase in HOLDING), None)


def _has_hope(course: Course, news: News) -> bool:
    phase = course.binding.phase
    return phase in HOLDING or (phase is Phase.IDLE and not _drained_until(course, news))


def _drained_until(course: Course, news: News) -> float:
    """Until when all its servers are drained; 0 where one is not."""
    untils = [news.drained.get(target.server_id, 0.0) for target in course.targets]
    return min(untils, default=0.0)
