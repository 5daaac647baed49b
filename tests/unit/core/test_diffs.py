"""A difference is read by people and compared again: the same text exactly when the change is the same."""

from hypothesis import given
from hypothesis import strategies as st

from core import diffs
from core.resources import Resource
from tests.unit.core.benches import manifest
from tests.unit.core.examples import WEB

SECRET = Resource("Secret", "key", "shop")


def containers(*pairs):
    return {"spec": {"containers": [{"name": name, "image": image} for name, image in pairs]}}


def test_each_field_that_changes_is_one_line_under_the_objects_name():
    before = manifest(WEB, replicas=2, template=containers(("app", "a:1"), ("side", "b:1")))
    after = manifest(WEB, replicas=4, template=containers(("app", "a:2"), ("side", "b:1")))

    assert diffs.diff(WEB, before, after).splitlines() == [
        "Deployment shop/web",
        "  spec.replicas: 2 → 4",
        '  spec.template.spec.containers[app].image: "a:1" → "a:2"',
    ]


def test_what_comes_and_what_goes_is_told():
    before, after = manifest(WEB, replicas=2), manifest(WEB, replicas=2, paused=True)

    assert "  spec.paused: + true" in diffs.diff(WEB, before, after)
    assert "  spec.paused: - true" in diffs.diff(WEB, after, before)


def test_a_new_object_and_a_deleted_one_are_told_in_words():
    assert "is created" in diffs.diff(WEB, None, manifest(WEB, replicas=2))
    assert diffs.diff(WEB, manifest(WEB), None) == "Deployment shop/web\n  is deleted"


def test_what_the_server_derives_is_no_difference():
    before, after = manifest(WEB, replicas=2), manifest(WEB, replicas=2)
    after["metadata"] |= {"resourceVersion": "9", "generation": 7, "managedFields": ["x"]}
    after["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    after["status"] = {"replicas": 2}

    assert diffs.diff(WEB, before, after) == ""


def restarted(at):
    return manifest(WEB, template={"metadata": {"annotations": {diffs.RESTARTED: at}}})


def test_a_restart_to_come_is_shown_without_its_time_also_where_there_was_one_before():
    first = diffs.diff(WEB, manifest(WEB, template={}), restarted(diffs.RUN_TIME))
    again = diffs.diff(WEB, restarted("2026-01-02T00:00:00Z"), restarted(diffs.RUN_TIME))

    assert first.endswith("+ (the time it runs)")
    assert again.endswith('"2026-01-02T00:00:00Z" → (the time it runs)')


def test_the_time_of_an_earlier_restart_is_a_value_like_others():
    before, after = restarted("2026-01-02T00:00:00Z"), restarted("2026-01-01T00:00:00Z")

    assert diffs.diff(WEB, before, before) == ""
    assert diffs.diff(WEB, before, after).endswith('"2026-01-02T00:00:00Z" → "2026-01-01T00:00:00Z"')


def test_of_a_secret_no_value_is_shown_and_two_values_still_differ():
    def secret(value):
        return {"kind": "Secret", "metadata": {"name": "key"}, "data": {"token": value}}

    one = diffs.diff(SECRET, secret("b2xk"), secret("bmV3"))
    other = diffs.diff(SECRET, secret("b2xk"), secret("bmV4"))
    assert "bmV3" not in one
    assert "b2xk" not in one
    assert one != other


def test_the_value_of_a_variable_whose_name_says_secret_is_hidden_and_two_values_still_differ():
    def env(**values):
        listed = [{"name": name, "value": value} for name, value in values.items()]
        return manifest(WEB, template={"spec": {"containers": [{"name": "app", "env": listed}]}})

    old = env(DB_PASSWORD="hunter1", COLOR="red")
    one = diffs.diff(WEB, old, env(DB_PASSWORD="hunter2", COLOR="blue"))
    other = diffs.diff(WEB, old, env(DB_PASSWORD="hunter3", COLOR="blue"))
    assert "hunter" not in one
    assert 'env[COLOR].value: "red" → "blue"' in one
    assert one != other


def test_the_value_of_a_key_that_says_secret_is_hidden():
    def config(value):
        return {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"db.password": value, "color": value}}

    told = diffs.diff(Resource("ConfigMap", "c", "shop"), config("hunter1"), config("hunter2"))

    assert "[db.password]: (hidden, " in told
    assert 'data.color: "hunter1" → "hunter2"' in told


def test_long_values_are_cut_and_still_compared():
    def of(text):
        return diffs.diff(WEB, manifest(WEB, note="x"), manifest(WEB, note=text))

    assert len(of("y" * 9_000)) < 400
    assert of("y" * 9_000) != of("y" * 8_999 + "z")


@given(st.lists(st.text(max_size=300), max_size=30))
def test_a_difference_of_any_text_is_bounded_and_stable(words):
    parts = [diffs.diff(WEB, manifest(WEB, note="x"), manifest(WEB, note=word, words=words)) for word in words]

    assert len(diffs.joined(parts)) <= diffs.LONGEST + 200
    assert diffs.joined(parts) == diffs.joined(list(parts))
