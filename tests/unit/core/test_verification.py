"""Verification: healthy, and still so a moment later, within a limit."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from core.errors import UnavailableError
from core.verification import Verifier
from tests.fakes.cluster import FakeCluster
from tests.unit.core import examples

WEB = examples.workload("web", desired=3, ready=3)
API = examples.workload("api", desired=2, ready=2)


@dataclass
class ChangingCluster(FakeCluster):
    """`at` says what a workload looks like at a number of looks, counted from 1; it may raise."""

    at: Callable = None
    looks: int = 0

    async def workload(self, resource):
        self.looks += 1
        return self.at(self.looks, resource)


async def go_on():
    return None


async def verify(at, *targets, stop=go_on, **given):
    return await Verifier(ChangingCluster(at=at), **given).verify(targets or (WEB,), stop=stop)


@pytest.mark.looptime
async def test_what_is_healthy_and_stays_so_is_healthy_after_the_steady_time(looptime):
    verdict = await verify(lambda looks, resource: WEB)

    assert (verdict.is_healthy, verdict.sentences) == (True, ("Deployment shop/web: 3 of 3 replicas ready.",))
    assert looptime == 2


@pytest.mark.looptime
async def test_what_never_becomes_healthy_is_not_when_the_limit_has_passed(looptime):
    crashing = replace(WEB, ready_replicas=1, pods=(examples.pod("web-1", is_ready=False, reason="CrashLoopBackOff"),))
    verdict = await verify(lambda looks, resource: crashing, limit_seconds=30)

    assert not verdict.is_healthy
    assert verdict.sentences == ("Deployment shop/web: 1 of 3 replicas ready (CrashLoopBackOff).",)
    assert looptime == 30


@pytest.mark.looptime
async def test_what_becomes_healthy_is_waited_for(looptime):
    verdict = await verify(lambda looks, resource: WEB if looks > 5 else replace(WEB, ready_replicas=0))

    assert verdict.is_healthy
    assert looptime == 7


@pytest.mark.looptime
async def test_what_is_healthy_for_a_moment_only_is_looked_at_again(looptime):
    verdict = await verify(lambda looks, resource: replace(WEB, ready_replicas=0) if looks == 2 else WEB)

    assert verdict.is_healthy
    assert looptime == 5


@pytest.mark.looptime
async def test_ready_containers_that_keep_restarting_are_not_healthy(looptime):
    def restarting(looks, resource):
        return replace(WEB, pods=(examples.pod("web-1", restarts=looks),))

    verdict = await verify(restarting, limit_seconds=20)

    assert (verdict.is_healthy, verdict.sentences) == (False, ("Containers keep restarting.",))


@pytest.mark.looptime
async def test_restarts_of_the_past_do_not_count(looptime):
    verdict = await verify(lambda looks, resource: replace(WEB, pods=(examples.pod("web-1", restarts=9),)))

    assert verdict.is_healthy


@pytest.mark.parametrize(
    "live",
    [
        replace(WEB, ready_replicas=2),
        replace(WEB, pods=(examples.pod("web-1", is_ready=False),)),
        replace(WEB, pods=(examples.pod("web-1", reason="ImagePullBackOff"),)),
        None,
    ],
)
@pytest.mark.looptime
async def test_unready_unwell_and_missing_are_not_healthy(looptime, live):
    assert not (await verify(lambda looks, resource: live, limit_seconds=5)).is_healthy


@pytest.mark.looptime
async def test_a_workload_that_is_gone_is_said_to_be(looptime):
    verdict = await verify(lambda looks, resource: None, limit_seconds=3)

    assert verdict.sentences == ("Deployment shop/web does not exist any more.",)


@pytest.mark.looptime
async def test_all_workloads_must_be_healthy_and_each_has_its_sentence(looptime):
    def one_fails(looks, resource):
        return WEB if resource == WEB.resource else replace(API, ready_replicas=0)

    verdict = await verify(one_fails, WEB, API, limit_seconds=3)

    assert not verdict.is_healthy
    assert verdict.sentences == (
        "Deployment shop/web: 3 of 3 replicas ready.",
        "Deployment shop/api: 0 of 2 replicas ready.",
    )


@pytest.mark.looptime
async def test_a_cluster_that_does_not_answer_for_a_while_is_asked_again(looptime):
    def sometimes(looks, resource):
        if looks < 4:
            raise UnavailableError("The Kubernetes API did not answer.")
        return WEB

    assert (await verify(sometimes)).is_healthy


@pytest.mark.looptime
async def test_a_cluster_that_never_answers_is_not_healthy_and_says_why(looptime):
    def never(looks, resource):
        raise UnavailableError("The Kubernetes API did not answer.")

    verdict = await verify(never, limit_seconds=4)

    assert verdict.sentences == ("Deployment shop/web: The Kubernetes API did not answer.",)
    assert not verdict.is_healthy


@pytest.mark.looptime
async def test_whoever_asks_to_stop_does_not_wait_for_the_limit(looptime):
    async def stop():
        return "Anna"

    verdict = await verify(lambda looks, resource: replace(WEB, ready_replicas=0), stop=stop)

    assert not verdict.is_healthy
    assert looptime == 0
