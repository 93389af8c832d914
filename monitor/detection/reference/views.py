"""What evidence bets on: views of a reference, which `monitor.detection.reference.reference` makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]


class JointState(StateRecord):
    """Of `Joint`; `project` in half precision, as a frozen reference has it."""

    project: NDArray[np.float16]
    long_run: Array32
    axes: Array32
    extra: Array32
    error: Array32
    skew: Array32 | None = None


@dataclass
class Joint:
    """A whitened view of some columns: u = (y - mean) @ project, about uncorrelated with variance 1 in the reference.

    In single precision: it is what bets are placed with, event by event, and most of what a stream holds in memory.

    `long_run` is each coordinate's long-run over marginal variance (m), `axes` (m, 3) with `extra` (3) what the leading
    directions have on top, `error` the standard error of a coordinate's mean with the wandering of its level (m).
    `skew` (2, m) is what e^u and e^-u have in the mean over those of a normal score, as a logarithm: flags that are
    mostly false lean far to one side, and a bet that takes them for normal scores wins without a change. Zero in
    snapshots of versions that did not know it.
    """

    project: Array32
    long_run: Array32
    axes: Array32
    extra: Array32
    error: Array32
    skew: Array32 | None = None

    def to_state(self) -> JointState:
        """For a snapshot."""
        project = self.project.astype(np.float16)
        return JointState(project, self.long_run, self.axes, self.extra, self.error, self.skew)

    @classmethod
    def from_state(cls, state: JointState) -> Joint:
        """The view that `state` described."""
        project = state.project.astype(np.float32)
        return cls(project, state.long_run, state.axes, state.extra, state.error, state.skew)


@dataclass
class Singles:
    """Numbers one by one: columns, what the fixed bets cost (bets, k) and errors as of `Joint` (k).

    The cost is the log normaliser, and what the best place in the zone of indifference would earn.
    """

    columns: NDArray[np.intp]
    log_norm: Array32
    error: Array


class RatesState(StateRecord):
    """Of `Rates`."""

    columns: NDArray[np.intp]
    upper: Array32
    lower: Array32
    long_run: Array32


@dataclass
class Rates:
    """Flags one by one: columns, credible bounds of the rate (m each) and long-run variance over marginal (m)."""

    columns: NDArray[np.intp]
    upper: Array32
    lower: Array32
    long_run: Array32

    def to_state(self) -> RatesState:
        """For a snapshot."""
        return RatesState(self.columns, self.upper, self.lower, self.long_run)

    @classmethod
    def from_state(cls, state: RatesState) -> Rates:
        """The flags that `state` described."""
        return cls(state.columns, state.upper, state.lower, state.long_run)


class SinglesState(StateRecord):
    """Of `Singles`."""

    columns: NDArray[np.intp]
    log_norm: Array32
    error: Array


class ViewState(StateRecord):
    """Of `View`."""

    joints: list[JointState]
    singles: SinglesState
    rates: RatesState
    failures: RatesState
    any_failure: int | None


@dataclass
class View:
    """What one audience bets on: the outputs and calls, or the inputs alone.

    `any_failure` is the column that says whether any fault is there, if there is one.
    """

    joints: list[Joint]
    singles: Singles
    rates: Rates
    failures: Rates
    any_failure: int | None

    def to_state(self) -> ViewState:
        """For a snapshot."""
        singles = self.singles
        return ViewState(
            [joint.to_state() for joint in self.joints],
            SinglesState(singles.columns, singles.log_norm, singles.error),
            self.rates.to_state(),
            self.failures.to_state(),
            self.any_failure,
        )

    @classmethod
    def from_state(cls, state: ViewState) -> View:
        """The view that `state` described."""
        singles = state.singles
        return cls(
            [Joint.from_state(joint) for joint in state.joints],
            Singles(singles.columns, singles.log_norm, singles.error),
            Rates.from_state(state.rates),
            Rates.from_state(state.failures),
            state.any_failure,
        )
