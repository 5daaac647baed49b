"""Not worse is not failed: verification tells worse, unchanged, healing and healed apart."""

from dataclasses import dataclass, replace

import pytest

from core.verification import Health, Verifier, health
from tests.fakes.cluster import FakeCluster
from tests.unit.core import examples

HEALTHY = examples.workload("web", desired=3, ready=3)
CRASHING = examples.pod("web-1", is_ready=False, reason="CrashLoopBackOff")
STARTING = examples.pod("web-2", is_ready=False, reason="ContainerCreating")
ILL = replace(HEALTHY, ready_replicas=1, pods=(CRASHING,))


@pytest.mark.parametrize(
    ("before", "live", "expected"),
    [
        (ILL, HEALTHY, Health.HEALED),
        (ILL, replace(ILL, ready_replicas=0), Health.WORSE),
        (HEALTHY, ILL, Health.WORSE),
        (ILL, replace(ILL, pods=(CRASHING, replace(CRASHING, resource=STARTING.resource))), Health.WORSE),
        (ILL, ILL, Health.UNCHANGED),
        (ILL, replace(ILL, ready_replicas=2), Health.UNCHANGED),
        (ILL, replace(ILL, pods=(STARTING,)), Health.HEALING),
        (ILL, replace(ILL, pods=()), Health.HEALING),
        (HEALTHY, replace(HEALTHY, desired_replicas=1, ready_replicas=1), Health.HEALED),
    ],
)
def test_a_workload_is_told_by_how_it_was_before(before, live, expected):
    assert health(before, live) is expected


@dataclass
class LateCluster(FakeCluster):
    """No pod for `late` looks, as while a ReplicaSet that was refused backs off; then all are ready."""

    late: int = 0
    looks: int = 0

    async def workload(self, resource):
        self.looks += 1
        return HEALTHY if self.looks > self.late else replace(HEALTHY, ready_replicas=0, pods=())


async def go_on():
    return None


NOTHING_READY = replace(ILL, ready_replicas=0)


@pytest.mark.looptime
async def test_what_heals_late_is_given_the_time(looptime):
    verifier = Verifier(LateCluster(late=200), limit_seconds=120, healing_seconds=300)

    verdict = await verifier.verify((NOTHING_READY,), stop=go_on)

    assert verdict.health is Health.HEALED
    assert 200 <= looptime < 210


@pytest.mark.looptime
async def test_what_heals_for_ever_ends_as_healing_and_not_as_worse(looptime):
    verifier = Verifier(LateCluster(late=9_999), limit_seconds=120, healing_seconds=300)

    verdict = await verifier.verify((NOTHING_READY,), stop=go_on)

    assert verdict.health is Health.HEALING
    assert looptime == 420


@pytest.mark.looptime
async def test_the_worst_of_several_workloads_is_the_verdict(looptime):
    cluster = LateCluster(late=9_999)

    verdict = await Verifier(cluster, limit_seconds=5).verify((NOTHING_READY, HEALTHY), stop=go_on)

    assert verdict.health is Health.WORSE
    assert looptime == 5
