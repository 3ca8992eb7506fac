"""A playbook's workflow as a graph: steps, edges by kind, and what no schema says of them. Linear, without recursion.

1. `on_completion`, `on_success` and `on_failure` go on in the same branch; `on_true`, `on_false`, each case and each of `next_steps`
   begin a branch of their own. A start step is led to by nothing, an end step leads nowhere.
2. A circle is told once: for each strongly connected component (Tarjan), at the first of its edges in the order of the text.
3. A step belongs to the branch that first came to it; a branch's continuation comes before what branches off, so that whoever runs into
   it from below is told. Where another branch comes to the same step, the branching step at which both part decides what that is.
4. The parting of two branches is found in logarithmic time over skip pointers: 40,000 branches in each other cost no square.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from p2pshare.intel.playbooks.playbook_problems import PlaybookProblem, inside, problem, warning

STEP_TYPES = (
    "start",
    "end",
    "action",
    "playbook-action",
    "parallel",
    "if-condition",
    "while-condition",
    "switch-condition",
)
BRANCHING = frozenset({"parallel", "if-condition", "while-condition", "switch-condition"})
_SEQUENCE = ("on_completion", "on_success", "on_failure")
_BRANCHES = {"if-condition": ("on_true", "on_false"), "while-condition": ("on_true",)}


class WorkflowEdge(NamedTuple):
    """One reference of a step to the next. `kind` is the property; `place` its pointer below the step; `case` of a switch."""

    source: str
    place: str
    kind: str
    target: str
    case: str = ""


class Workflow:
    """The steps of a playbook by id, their kinds and edges, in the order of the text. Values of a wrong type are left out."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        said = document.get("workflow")
        self.steps: dict[str, dict[str, Any]] = {}
        for step_id, step in said.items() if isinstance(said, dict) else ():
            self.steps[step_id] = step if isinstance(step, dict) else {}
        self.kinds = {step_id: kind_of(step_id, step) for step_id, step in self.steps.items()}
        self.edges = {step_id: list(self._edges_of(step_id)) for step_id in self.steps}
        self.start = _text(document.get("workflow_start"))
        self.exception = _text(document.get("workflow_exception"))

    def _edges_of(self, step_id: str) -> Iterator[WorkflowEdge]:
        step, kind = self.steps[step_id], self.kinds[step_id]
        if kind == "end":
            return
        for name in (*_SEQUENCE, *_BRANCHES.get(kind, ())):
            if isinstance(target := step.get(name), str):
                yield WorkflowEdge(step_id, name, name, target)
        cases = step.get("cases") if kind == "switch-condition" else None
        for case, target in cases.items() if isinstance(cases, dict) else ():
            if isinstance(target, str):
                yield WorkflowEdge(step_id, inside("cases", case), "cases", target, case)
        following = step.get("next_steps") if kind == "parallel" else None
        for number, target in enumerate(following if isinstance(following, list) else ()):
            if isinstance(target, str):
                yield WorkflowEdge(step_id, f"next_steps/{number}", "next_steps", target)

    def followed(self, step_id: str) -> Iterator[WorkflowEdge]:
        """Yields the edges of a step that lead on: to a step that is there and does not begin a workflow."""
        for edge in self.edges[step_id]:
            if self.kinds.get(edge.target, "start") != "start":
                yield edge


def kind_of(step_id: str, step: Mapping[str, Any]) -> str:
    """Returns a step's type; where it has none, what its id begins with."""
    said = step.get("type")
    return said if isinstance(said, str) else step_id.partition("--")[0]


def step_pointer(step_id: str, place: str = "") -> str:
    """Returns the pointer of a step, or of a place in it."""
    pointer = inside("/workflow", step_id)
    return f"{pointer}/{place}" if place else pointer


def mistyped_steps(workflow: Workflow) -> list[str]:
    """Returns the ids that begin with another type than their step has, or with none."""
    return [
        step_id
        for step_id, kind in workflow.kinds.items()
        if workflow.steps[step_id] and step_id.partition("--")[0] != kind
    ]


def workflow_problems(workflow: Workflow) -> Iterator[PlaybookProblem]:
    """Yields everything that the graph breaks."""
    for step_id in mistyped_steps(workflow):
        yield problem("step-id-type", step_pointer(step_id), "the id does not begin with the step's type")
    yield from _beginning(workflow)
    for step_id in workflow.steps:
        yield from _step_problems(workflow, step_id)
    component = _components(workflow)
    yield from _circles(workflow, component)
    regions = _Regions(workflow)
    yield from regions.meetings(component)
    if regions.is_rooted:
        for step_id in workflow.steps:
            if step_id not in regions.of_step:
                yield problem("unreachable", step_pointer(step_id), "nothing leads to this step")


def _beginning(workflow: Workflow) -> Iterator[PlaybookProblem]:
    kinds = workflow.kinds
    if workflow.start is not None:
        if workflow.start not in kinds:
            yield problem("reference-missing", "/workflow_start", "names a step that is not there")
        elif kinds[workflow.start] != "start":
            yield problem("start-type", "/workflow_start", "names a step that is no start step")
    if workflow.exception is not None:
        if workflow.exception not in kinds:
            yield problem("reference-missing", "/workflow_exception", "names a step that is not there")
        elif kinds[workflow.exception] == "start":
            yield problem("reference-start", "/workflow_exception", "leads back to a start step")
    starts = [step_id for step_id, kind in kinds.items() if kind == "start"]
    first = workflow.start if workflow.start in starts else next(iter(starts), None)
    for step_id in starts:
        if step_id != first:
            yield problem("start-second", step_pointer(step_id), "a second start step")


def _step_problems(workflow: Workflow, step_id: str) -> Iterator[PlaybookProblem]:
    step, kind = workflow.steps[step_id], workflow.kinds[step_id]
    if not step or kind not in STEP_TYPES or kind == "end":
        return
    has_next = "on_completion" in step
    has_either = "on_success" in step or "on_failure" in step
    if has_next and has_either and kind != "start":  # of a start step the schema says it
        yield problem(
            "next-both", step_pointer(step_id), "has on_completion, and on_success or on_failure beside it"
        )
    elif not has_next and not has_either:
        if kind in BRANCHING:
            yield warning(
                "no-completion", step_pointer(step_id), "says no step for when its branches have ended"
            )
        else:
            yield problem("no-next", step_pointer(step_id), "leads to no step, and is no end step")
    elif not has_next and ("on_success" not in step or "on_failure" not in step) and kind != "start":
        lacking = "on_failure" if "on_success" in step else "on_success"
        yield warning("no-completion", step_pointer(step_id), f"says nothing for {lacking}")
    for edge in workflow.edges[step_id]:
        if edge.target not in workflow.kinds:
            yield problem(
                "reference-missing", step_pointer(step_id, edge.place), "names a step that is not there"
            )
        elif workflow.kinds[edge.target] == "start":
            yield problem("reference-start", step_pointer(step_id, edge.place), "leads back to a start step")


def _components(workflow: Workflow) -> dict[str, int]:
    """Returns the number of each step's strongly connected component (Tarjan's algorithm, with a stack of its own)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    component: dict[str, int] = {}
    open_steps: list[str] = []
    for root in workflow.steps:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        open_steps.append(root)
        path = [(root, workflow.followed(root))]
        while path:
            step_id, edges = path[-1]
            target = next((edge.target for edge in edges), None)
            if target is not None:
                if target not in index:
                    index[target] = low[target] = len(index)
                    open_steps.append(target)
                    path.append((target, workflow.followed(target)))
                elif target not in component:
                    low[step_id] = min(low[step_id], index[target])
                continue
            path.pop()
            if path:
                above = path[-1][0]
                low[above] = min(low[above], low[step_id])
            if low[step_id] == index[step_id]:
                number = len(component)
                while True:
                    member = open_steps.pop()
                    component[member] = number
                    if member == step_id:
                        break
    return component


def _circles(workflow: Workflow, component: Mapping[str, int]) -> Iterator[PlaybookProblem]:
    told: set[int] = set()
    for step_id in workflow.steps:
        for edge in workflow.followed(step_id):
            number = component[edge.target]
            if number == component[step_id] and number not in told:
                told.add(number)
                pointer = step_pointer(step_id, edge.place)
                yield problem("loop", pointer, "leads round in a circle: this step comes before itself")


class _Regions:
    """The branches of a workflow as a tree, and the branch of each step that is reached."""

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow
        self._above: list[int] = [0]
        self._depth: list[int] = [0]
        self._skip: list[int] = [0]
        self._parted_by: list[str | None] = [None]  # the kind of step at which the branch begins
        self.of_step: dict[str, int] = {}
        self._shared: list[tuple[int, int, WorkflowEdge]] = []
        roots = [workflow.start, *(one for one, kind in workflow.kinds.items() if kind == "start")]
        self.is_rooted = any(root in workflow.kinds for root in roots)
        for root in (*roots, workflow.exception):
            if root is not None and root in workflow.kinds and root not in self.of_step:
                self._spread(root)

    def _spread(self, root: str) -> None:
        """Give each step that `root` leads to its branch: all of a branch before what parts from it, and of what parts at one
        step the first steps before what follows them."""
        parting: deque[list[tuple[WorkflowEdge, int]]] = deque()
        self.of_step[root] = self._begin(0, None)
        waiting = [root]
        while True:
            while waiting:
                step_id = waiting.pop()
                region, kind = self.of_step[step_id], self._workflow.kinds[step_id]
                branches: list[tuple[WorkflowEdge, int]] = []
                for edge in self._workflow.followed(step_id):
                    if edge.kind not in _SEQUENCE:
                        branches.append((edge, self._begin(region, kind)))
                    elif self._comes_to(edge, region):
                        waiting.append(edge.target)
                if branches:
                    parting.append(branches)
            if not parting:
                return
            begun = [edge.target for edge, region in parting.popleft() if self._comes_to(edge, region)]
            waiting += reversed(begun)

    def _comes_to(self, edge: WorkflowEdge, region: int) -> bool:
        """Returns whether a step gets its branch by this edge; notes where it has another."""
        held = self.of_step.get(edge.target)
        if held is None:
            self.of_step[edge.target] = region
            return True
        if held != region:
            self._shared.append((held, region, edge))
        return False

    def _begin(self, above: int, parted_by: str | None) -> int:
        skip = self._skip[above]
        is_even = self._depth[above] - self._depth[skip] == self._depth[skip] - self._depth[self._skip[skip]]
        self._skip.append(self._skip[skip] if is_even else above)
        self._above.append(above)
        self._depth.append(self._depth[above] + 1)
        self._parted_by.append(parted_by)
        return len(self._above) - 1

    def meetings(self, component: Mapping[str, int]) -> Iterator[PlaybookProblem]:
        """Yields each step that two branches share, once; edges of a circle are told as that."""
        told: set[str] = set()
        for held, coming, edge in self._shared:
            if edge.target in told or component[edge.source] == component[edge.target]:
                continue
            parted_by = self._parting(held, coming)
            if None in parted_by:
                continue  # what begins by itself, the exception's steps say, may come to a step of the rest
            told.add(edge.target)
            pointer = step_pointer(edge.source, edge.place)
            if self._workflow.kinds[edge.target] == "end":
                yield warning(
                    "branch-end-shared",
                    pointer,
                    "ends where another branch ends: give each an end of its own",
                )
            elif "parallel" in parted_by:
                yield problem(
                    "branches-meet", pointer, "leads to a step of a branch that runs at the same time"
                )
            else:
                yield warning("branches-meet", pointer, "leads to a step of another branch")

    def _parting(self, one: int, other: int) -> set[str | None]:
        """Returns the kinds of step at which the ways to two regions part: of one where it is above the other."""
        if self._depth[one] < self._depth[other]:
            one, other = other, one
        if self._depth[one] > self._depth[other]:
            below = self._lifted(one, self._depth[other] + 1)
            if self._above[below] == other:
                return {self._parted_by[below]}
            one = self._above[below]
        while self._above[one] != self._above[other]:
            if self._skip[one] != self._skip[other]:
                one, other = self._skip[one], self._skip[other]
            else:
                one, other = self._above[one], self._above[other]
        return {self._parted_by[one], self._parted_by[other]}

    def _lifted(self, region: int, depth: int) -> int:
        while self._depth[region] > depth:
            skip = self._skip[region]
            region = skip if self._depth[skip] >= depth else self._above[region]
        return region


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
