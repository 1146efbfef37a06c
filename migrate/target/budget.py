"""When the next request may leave, so that the service never has to refuse it. Pure: the clock is a parameter.

The published rule: 25 points in any second, what does not fit there is drawn whole from 150 points a minute, per key;
2,000 points a minute per account; a read costs 1 point, a write 10. Whether the service's windows open at the first
request or stand on the clock is not published. A request therefore holds its points from the moment it may have
arrived for one whole window, whatever the window's phase:

- **Second.** A request holds its points for 1 s plus a margin. At most 25 are held.
- **Burst.** A write that finds no room there is drawn from the burst and holds its points for 60 s, one second more
  (the service may charge a neighbour of the same second in its place), and the margin. Reads never use it: then no
  order of arrival can make the service draw more from its minute than was counted here.
- **Account.** Everything holds its points for 60 s plus the margin.

The **margin** covers the jitter between leaving and arriving. A request that took longer than the fastest one may have
arrived later by the difference, and never by more: so once the answer is in, its own excess replaces the general
margin. Both the general margin and the trust in the excess learn: widened by a refusal, shrinking slowly.

**Units**: points; seconds of a monotonic clock. **Source**: Octolis Data API, "Rate limits".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

READ_POINTS = 1
# A batch costs the same with 1 record or 500. PATCH has no published price: it is paid as a write.
WRITE_POINTS = 10
SECOND_POINTS = 25
BURST_POINTS = 150
ACCOUNT_POINTS = 2_000

_SECOND_S = 1.0
_MINUTE_S = 60.0
_FIRST_MARGIN_S = 0.05
_WIDEST_MARGIN_S = 0.5
_WIDEST_MARGIN_FLOOR_S = 0.05
_FIRST_DOUBT_S = 0.004
_DOUBT_STEP_S = 0.005
_LEAST_MARGIN_S = 0.001
_SHRINK = 0.998
_SHRINK_UNREFUSED = 0.98
"""Until the first refusal the margin may be far too wide, and where answers take seconds nothing else narrows it."""
_ONE_WAY_SHARE = 0.7
_SAMPLES = 100
_ENOUGH_SAMPLES = 20
_ACCOUNT_STEP_S = 0.2
_LONGEST_OWN_PAUSE_S = 60.0
_OTHERS = -1
"""The ticket of what other processes hold."""

_FULL_RUN_BATCHES = 20_000
_FULL_RUN_READS = 30_000


@dataclass(frozen=True)
class Grant:
    """Leave to send one request now with key number `key_index`."""

    ticket: int
    key_index: int
    cost: int
    at: float


@dataclass(frozen=True)
class Wait:
    """No request of that cost may leave before `until`; an answer that comes in may make it sooner."""

    until: float


@dataclass
class _Hold:
    until: float
    cost: int
    ticket: int


@dataclass
class _Key:
    second: list[_Hold] = field(default_factory=list)
    burst: list[_Hold] = field(default_factory=list)
    paused_until: float = float("-inf")
    refusals: int = 0

    def drop_expired(self, now: float) -> None:
        self.second = [hold for hold in self.second if hold.until > now]
        self.burst = [hold for hold in self.burst if hold.until > now]

    def drop_others(self) -> None:
        self.second = [hold for hold in self.second if hold.ticket != _OTHERS]
        self.burst = [hold for hold in self.burst if hold.ticket != _OTHERS]

    def add(self, other: _Key) -> None:
        self.second += other.second
        self.burst += other.burst
        # The service's word, whoever it was said to.
        self.paused_until = max(self.paused_until, other.paused_until)


@dataclass
class _Margins:
    """What jitter to expect: `general` before an answer is in, `doubt` about the excess measured afterwards."""

    scale: float
    general: float
    doubt: float
    refused: bool = False

    def widen(self) -> None:
        self.refused = True
        widest = max(_WIDEST_MARGIN_S * self.scale, _WIDEST_MARGIN_FLOOR_S)
        self.general = min(widest, self.general * 1.5)
        self.doubt = min(self.general, self.doubt * 2 + _DOUBT_STEP_S * self.scale)

    def shrink(self, spread_s: float) -> None:
        floor = min(spread_s, _FIRST_MARGIN_S * self.scale)
        shrunk = self.general * (_SHRINK if self.refused else _SHRINK_UNREFUSED)
        self.general = max(floor, _LEAST_MARGIN_S * self.scale, shrunk)
        self.doubt = max(_LEAST_MARGIN_S * self.scale, self.doubt * _SHRINK)


class Budget:
    """The mirrored windows of `keys` keys. Not thread-safe: see `gate.Gate`.

    `speed` shortens every window, for a sandbox whose limits run faster; `account_share` is the part of the account's
    minute that is ours. `names`: what tells the keys apart beyond this process; without them their order does.
    """

    def __init__(
        self,
        keys: int,
        speed: float = 1.0,
        account_share: float = 1.0,
        names: Sequence[str] = (),
    ) -> None:
        self._names = list(names)
        self._keys = [_Key() for _ in range(keys)]
        self._scale = 1 / speed
        self._account_points = max(WRITE_POINTS, int(ACCOUNT_POINTS * account_share))
        self._account: deque[_Hold] = deque()
        self._account_held = 0
        self._account_step_begun = float("-inf")
        self._margins = _Margins(
            self._scale, _FIRST_MARGIN_S * self._scale, _FIRST_DOUBT_S * self._scale
        )
        self._trips: dict[int, deque[float]] = {}
        self._ticket = 0

    @property
    def margin_s(self) -> float:
        """The general margin as learned so far."""
        return self._margins.general

    def points_left(self, now: float) -> int:
        """The points that may be spent at once, by all keys together."""
        self._drop_expired(now)
        free = sum(
            SECOND_POINTS - _held(key.second) + BURST_POINTS - _held(key.burst)
            for key in self._keys
            if key.paused_until <= now
        )
        return max(0, min(free, self._account_points - self._account_held))

    def paused_s(self, now: float) -> float:
        """Seconds until the service lets at least one key ask again; 0 when one may."""
        return max(0.0, min(key.paused_until for key in self._keys) - now)

    def reserve(self, cost: int, now: float, without: Collection[int] = ()) -> Grant | Wait:
        """A grant for a request that leaves at `now`, by the key that is free; else how long to wait at least.

        `without`: keys that are not to be used; not all of them.
        """
        self._drop_expired(now)
        account_free = _free_at(self._account, self._account_held, self._account_points - cost, now)
        choices = [
            (self._key_free_at(key, cost, now), _held(key.second), n)
            for n, key in enumerate(self._keys)
            if n not in without
        ]
        key_free, _, index = min(choices)
        free = max(account_free, key_free)
        if free > now:
            return Wait(free)
        return self._take(index, cost, now)

    def settled(
        self,
        grant: Grant,
        *,
        started: float,
        ended: float,
        refused: bool,
        retry_after_s: float | None = None,
    ) -> None:
        """Learns from a request that left at `started` and was over at `ended`; `refused` = a 429.

        A refused request stays counted, and pauses its key for what the server asked, else for a growing while.
        """
        key = self._keys[grant.key_index]
        if refused:
            self._refuse(key, grant, ended, retry_after_s)
            return
        key.refusals = 0
        excess = self._measure(grant.cost, ended - started)
        if excess is not None:
            margin = min(self._margins.general, excess + self._margins.doubt)
            self._shorten(key, grant.ticket, started + margin)

    def state(self, now: float) -> dict[str, object]:
        """What others have to know, as JSON values: everything held here, by seconds from `now`."""
        self._drop_expired(now)
        return {
            "margin_s": self._margins.general,
            "doubt_s": self._margins.doubt,
            "account": _left(self._account, now),
            **({"names": self._names} if self._names else {}),
            "keys": [
                {
                    "second": _left(key.second, now),
                    "burst": _left(key.burst, now),
                    "paused_s": round(max(0.0, key.paused_until - now), 4),
                }
                for key in self._keys
            ],
        }

    def learn(self, state: Mapping[str, object]) -> None:
        """Takes up the margins of another's `state`. Raises ValueError, TypeError or KeyError for what is none."""
        self._margins = _Margins(
            self._scale, float(str(state["margin_s"])), float(str(state["doubt_s"])), refused=True
        )

    def adopt(self, states: Sequence[tuple[Mapping[str, object], float]], now: float) -> None:
        """Counts what others hold by their states, each with its age in seconds, in place of what was adopted before.

        **Raises**: ValueError, TypeError or KeyError for a state that is not ours; then nothing has changed.
        """
        accounts = []
        others = [_Key() for _ in self._keys]
        for state, age_s in states:
            then = now - max(0.0, age_s)
            saved_keys = state["keys"]
            if not isinstance(saved_keys, list):
                raise TypeError("keys is no list")
            shared = self._shared(state, others)
            for key, saved in zip(shared, saved_keys, strict=False):
                if key is not None:
                    key.add(_key(saved, then))
            # An account is known by its keys only: who shares none of ours may well have another one.
            holds = _holds(state["account"], then)
            accounts += holds if any(key is not None for key in shared) else []
        own = [hold for hold in self._account if hold.ticket != _OTHERS]
        self._account = deque(sorted([*own, *accounts], key=_until))
        self._account_held = _held(self._account)
        for key, other in zip(self._keys, others, strict=True):
            key.drop_others()
            key.add(other)
        self._drop_expired(now)

    def _shared(self, state: Mapping[str, object], others: Sequence[_Key]) -> list[_Key | None]:
        """For each key of a state the one of ours that it is, None where it is none of them."""
        names = state.get("names")
        if not self._names or not isinstance(names, list):
            return list(others)
        return [others[self._names.index(name)] if name in self._names else None for name in names]

    def _drop_expired(self, now: float) -> None:
        for key in self._keys:
            key.drop_expired(now)
        while self._account and self._account[0].until <= now:
            self._account_held -= self._account.popleft().cost

    def _key_free_at(self, key: _Key, cost: int, now: float) -> float:
        free = _free_at(
            sorted(key.second, key=_until), _held(key.second), SECOND_POINTS - cost, now
        )
        # Reads never draw on the burst: else the order of arrival could make the service charge more than is counted.
        if free > now and cost >= WRITE_POINTS:
            burst = _free_at(
                sorted(key.burst, key=_until), _held(key.burst), BURST_POINTS - cost, now
            )
            free = min(free, burst)
        return max(free, key.paused_until)

    def _take(self, index: int, cost: int, now: float) -> Grant:
        self._ticket += 1
        key = self._keys[index]
        margin = self._margins.general
        if _held(key.second) + cost <= SECOND_POINTS:
            key.second.append(_Hold(now + _SECOND_S * self._scale + margin, cost, self._ticket))
        else:
            until = now + (_MINUTE_S + _SECOND_S) * self._scale + margin
            key.burst.append(_Hold(until, cost, self._ticket))
        self._charge_account(cost, now + _MINUTE_S * self._scale + margin)
        return Grant(self._ticket, index, cost, now)

    def _charge_account(self, cost: int, until: float) -> None:
        # Steps of a fifth of a second keep the list, which is saved at every grant, at 300 entries at most.
        last = self._account[-1] if self._account else None
        if (
            last
            and last.ticket != _OTHERS
            and until < self._account_step_begun + _ACCOUNT_STEP_S * self._scale
        ):
            last.cost += cost
            last.until = max(last.until, until)
        else:
            self._account.append(_Hold(until, cost, self._ticket))
            self._account_step_begun = until
        self._account_held += cost

    def _refuse(self, key: _Key, grant: Grant, now: float, retry_after_s: float | None) -> None:
        if any(hold.ticket == grant.ticket for hold in key.second):
            # Refused although it had room in its second: so the burst is empty over there, whatever we counted.
            until = now + (_MINUTE_S + _SECOND_S) * self._scale
            key.burst.append(_Hold(until, grant.cost, grant.ticket))
        own_s = min(_LONGEST_OWN_PAUSE_S, 2.0**key.refusals) * self._scale
        key.refusals += 1
        key.paused_until = max(
            key.paused_until, now + (own_s if retry_after_s is None else retry_after_s)
        )
        self._margins.widen()

    def _measure(self, cost: int, trip_s: float) -> float | None:
        trips = self._trips.setdefault(cost, deque(maxlen=_SAMPLES))
        trips.append(trip_s)
        if len(trips) < _ENOUGH_SAMPLES:
            return None
        fastest = min(trips)
        spread_s = sorted(trips)[int(len(trips) * 0.95)] - fastest
        self._margins.shrink(spread_s * _ONE_WAY_SHARE)
        return trip_s - fastest

    def _shorten(self, key: _Key, ticket: int, arrived: float) -> None:
        for hold in key.second:
            if hold.ticket == ticket:
                hold.until = arrived + _SECOND_S * self._scale


def _until(hold: _Hold) -> float:
    return hold.until


def _held(holds: Iterable[_Hold]) -> int:
    return sum(hold.cost for hold in holds)


def _free_at(holds: Iterable[_Hold], points: int, allowed: int, now: float) -> float:
    """When at most `allowed` points are held; `holds` end in order."""
    free = now
    for hold in holds:
        if points <= allowed:
            break
        points -= hold.cost
        free = hold.until
    return free


def _left(holds: Iterable[_Hold], now: float) -> list[list[float]]:
    return [[round(hold.until - now, 4), hold.cost] for hold in holds if hold.ticket != _OTHERS]


def _holds(saved: object, then: float) -> list[_Hold]:
    if not isinstance(saved, list):
        raise TypeError("no list of what is held")
    return [_Hold(then + float(until_s), int(cost), _OTHERS) for until_s, cost in saved]


def _key(saved: object, then: float) -> _Key:
    if not isinstance(saved, dict):
        raise TypeError("no state of a key")
    return _Key(
        _holds(saved["second"], then), _holds(saved["burst"], then), then + float(saved["paused_s"])
    )


def forecast(
    batches: int,
    reads: int,
    keys: int,
    *,
    speed: float = 1.0,
    account_share: float = 1.0,
    latency_s: float = 0.3,
) -> float:
    """Seconds until `reads` and then `batches` requests are answered by `keys` keys that nobody else uses.

    Beyond 20,000 batches the steady rate of the last half is carried on: the windows repeat every minute.
    """
    budget = Budget(keys, speed, account_share)
    read_s = _last_leave_s(budget, READ_POINTS, min(reads, _FULL_RUN_READS), 0.0)
    times = _leave_times(budget, min(batches, _FULL_RUN_BATCHES), read_s)
    end_s = times[-1] if times else read_s
    if batches > len(times) > 1:
        half = len(times) // 2
        end_s += (batches - len(times)) * (times[-1] - times[half]) / (len(times) - 1 - half)
    if reads > _FULL_RUN_READS:
        end_s += (reads - _FULL_RUN_READS) * read_s / (_FULL_RUN_READS)
    return end_s + (latency_s if batches + reads else 0.0)


def _last_leave_s(budget: Budget, cost: int, requests: int, start_s: float) -> float:
    now = start_s
    for _ in range(requests):
        now = _leave(budget, cost, now)
    return now


def _leave_times(budget: Budget, batches: int, start_s: float) -> list[float]:
    times = []
    now = start_s
    for _ in range(batches):
        now = _leave(budget, WRITE_POINTS, now)
        times.append(now)
    return times


def _leave(budget: Budget, cost: int, now: float) -> float:
    while True:
        answer = budget.reserve(cost, now)
        if isinstance(answer, Grant):
            return answer.at
        now = answer.until
