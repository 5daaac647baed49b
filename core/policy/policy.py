"""The policy as values, with the defaults that hold without a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from core.errors import InvalidInputError
from core.policy.command_raises import CommandRaise
from core.resolution import ActionType, Person
from core.risk_levels import RiskLevel

ACTION_RISK_MAP: Mapping[ActionType, RiskLevel] = MappingProxyType(
    {
        ActionType.INVESTIGATION: RiskLevel.LOW,
        ActionType.POD_RESTART: RiskLevel.MEDIUM,
        ActionType.CONFIG_FIX: RiskLevel.MEDIUM,
        ActionType.RESOURCE_SCALE: RiskLevel.HIGH,
    }
)
"""The level an action type has by itself; a policy may raise it, never lower it."""


WRITES_VALUES = frozenset({ActionType.CONFIG_FIX, ActionType.RESOURCE_SCALE})
"""Action types that write an image, a number or a field; these are always planned."""
UNDO_CAUSES = ("worse", "unchanged", "healing", "error", "timeout", "interrupt")
"""What an automatic rollback may start after: a verification's verdict, or how the run ended."""
_SETTING = "here (INCIDENT_RESOLVER_TOKEN_LIMIT)"
DEFAULT_UNDO_CAUSES = frozenset({"worse", "error", "timeout"})
"""Not a person's interrupt, which ends as interrupted by the REST contract unless the policy says otherwise."""


@dataclass(frozen=True, slots=True)
class AutoApproval:
    """A caller (id or name, with * and ?) whose requests up to MEDIUM need no person if they ask for it."""

    caller: str
    actions: frozenset[ActionType]
    namespaces: tuple[str, ...] = ("*",)

    def lets(self, caller_id: str, caller_name: str, action: ActionType, namespace: str) -> bool:
        is_caller = fnmatchcase(caller_id, self.caller) or fnmatchcase(caller_name, self.caller)
        return is_caller and action in self.actions and any(fnmatchcase(namespace, one) for one in self.namespaces)


@dataclass(frozen=True, slots=True)
class TokenBound:
    """The most tokens that a request of this caller (id or name, with * and ?) may ask for."""

    caller: str
    at_most: int

    def binds(self, caller_id: str, caller_name: str) -> bool:
        return fnmatchcase(caller_id, self.caller) or fnmatchcase(caller_name, self.caller)


@dataclass(frozen=True, slots=True)
class ClusterPin:
    """The cluster a client belongs to; `uid` is that of its kube-system namespace, None for not pinned."""

    name: str
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything a policy file can say. `version` names its text; "default" is no file.

    `asks_uncovered`: a line that the permit does not cover is put to people mid-run, else refused at once.
    """

    version: str = "default"
    actions: Mapping[ActionType, RiskLevel] = field(default_factory=lambda: dict(ACTION_RISK_MAP))
    production_namespaces: tuple[str, ...] = ("prod", "prod-*", "production", "production-*", "*-prod", "*-production")
    timeouts_seconds: Mapping[RiskLevel, float] = field(default_factory=dict)
    auto_approvals: tuple[AutoApproval, ...] = ()
    approvers: tuple[str, ...] = ()
    token_bounds: tuple[TokenBound, ...] = ()
    may_requesters_approve: bool = True
    clients: Mapping[str, ClusterPin] = field(default_factory=dict)
    auto_rollback: bool | None = None
    undo_when: frozenset[str] = DEFAULT_UNDO_CAUSES
    scale_factor: float = 2.0
    snapshot_namespaces: tuple[str, ...] = ("*",)
    command_raises: tuple[CommandRaise, ...] = ()
    plan_from: RiskLevel = RiskLevel.HIGH
    asks_uncovered: bool = True

    def is_production(self, namespace: str) -> bool:
        return any(fnmatchcase(namespace, pattern) for pattern in self.production_namespaces)

    def token_limit(self, caller: Person, *, asked: int | None, setting: int) -> int:
        """What a request of this caller may use; `asked` None means the most it may.

        That is the setting, or the lowest bound that matches the caller. InvalidInputError for more.
        """
        bounds = [one.at_most for one in self.token_bounds if one.binds(caller.id, caller.name)]
        most = min([setting, *bounds])
        if asked is None:
            return most
        if asked > most:
            where = f"for {caller.name} (people.token_limits of the policy)" if most < setting else _SETTING
            raise InvalidInputError(f"token_limit: at most {most} {where}.", field="token_limit")
        return asked

    def wants_plan(self, action: ActionType, level: RiskLevel) -> bool:
        """Whether exact lines are planned before anybody is asked: from `plan_from` up, and to write values always.

        An investigation changes nothing, so there is nothing to plan.
        """
        return action is not ActionType.INVESTIGATION and (action in WRITES_VALUES or level >= self.plan_from)

    def cluster_problem(self, client_id: str, cluster_uid: str | None) -> str | None:
        """Why this client may not touch this cluster, None when it may. Without a map there is one cluster."""
        if not self.clients:
            return None
        pin = self.clients.get(client_id)
        if pin is None:
            return f"The policy maps clients to clusters, and has none for client {client_id!r}."
        if pin.uid is not None and pin.uid != cluster_uid:
            return (
                f"Client {client_id!r} belongs to cluster {pin.name!r}, and this is another one; nothing is done here."
            )
        return None


DEFAULT_POLICY = Policy()
