"""What an undo changes, in words: each value by the name people know it by, and no secret."""

import json

import pytest

from core import undo_values


def deployment(*containers, **spec):
    pod = {"containers": [dict(one) for one in containers]}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {**spec, "template": {"spec": pod}},
    }


def web(image="web:1.2", **given):
    return {"name": "web", "image": image, **given}


def env(**values):
    return {"env": [{"name": name, "value": value} for name, value in values.items()]}


def config_map(**data):
    return {"kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"}, "data": data}


def secret(labels=None, **data):
    return {"kind": "Secret", "metadata": {"name": "keys", "labels": labels or {}}, "data": data}


@pytest.mark.parametrize(
    ("live", "restored", "told"),
    [
        (deployment(replicas=4), deployment(replicas=2), "replicas 4 → 2"),
        (deployment(web("web:1.3")), deployment(web("web:1.2")), "image web:1.3 → web:1.2"),
        (
            deployment(web("web:1.3"), {"name": "log", "image": "log:1"}),
            deployment(web("web:1.2"), {"name": "log", "image": "log:1"}),
            "image of web web:1.3 → web:1.2",
        ),
        (
            deployment(web(**env(LOG_LEVEL="debug"))),
            deployment(web(**env(LOG_LEVEL="info"))),
            "env LOG_LEVEL debug → info",
        ),
        (deployment(web(**env(A="1", B="2"))), deployment(web(**env(B="2"))), "env A 1 → (none)"),
        (
            deployment(web(resources={"limits": {"memory": "32Mi"}})),
            deployment(web(resources={"limits": {"memory": "64Mi"}})),
            "resources.limits.memory 32Mi → 64Mi",
        ),
        (deployment(paused=True), deployment(), "paused true → (none)"),
        (config_map(colour="blue"), config_map(colour="red"), "key colour blue → red"),
        (config_map(**{"app.yaml": "a: 1\nb: 2\n"}), config_map(), "key app.yaml a: 1 b: 2 → (none)"),
        (
            {"kind": "ConfigMap", "metadata": {"name": "s", "labels": {"tier": "b"}}},
            {"kind": "ConfigMap", "metadata": {"name": "s", "annotations": {"why": "x"}}},
            "annotation why (none) → x, label tier b → (none)",
        ),
        (config_map(a="1"), config_map(a="1"), ""),
    ],
)
def test_each_value_is_told_as_it_is_and_as_it_goes_back(live, restored, told):
    assert undo_values.changed(live, restored) == told


def test_of_a_secret_only_the_number_of_keys_is_told():
    live = secret({"tier": "b"}, password="aHVudGVyMg==", user="bWU=", same="eA==")
    restored = secret({"tier": "a"}, password="b3RoZXI=", more="bW9yZQ==", same="eA==")

    told = undo_values.changed(live, restored)

    assert told == "3 keys, metadata.labels.tier"
    assert undo_values.contents(restored) == "3 keys"


def test_of_a_secret_that_loses_its_data_no_value_is_told():
    live = {**secret(password="aHVudGVyMg=="), "stringData": {"token": "hunter2"}}
    bare = {"kind": "Secret", "metadata": {"name": "keys"}}

    for one, other in ((live, bare), (bare, live)):
        assert undo_values.changed(one, other) == "2 keys"


@pytest.mark.parametrize(
    ("live", "restored", "told"),
    [
        (
            deployment(web(**env(DB_PASSWORD="hunter2pw"))),
            deployment(web(**env(DB_PASSWORD="hunter3pw"))),
            "env DB_PASSWORD (hidden)",
        ),
        (config_map(**{"api-key": "hunter2pw"}), config_map(**{"api-key": "hunter3pw"}), "key api-key (hidden)"),
        (
            deployment(web(args=["--password=hunter2pw"])),
            deployment(web(args=["--password=hunter3pw"])),
            "args (hidden)",
        ),
        (deployment(web()), deployment(web(**env(TOKEN="hunter2pw"))), "env TOKEN (hidden)"),
    ],
)
def test_a_value_that_is_a_secret_is_named_and_not_shown(live, restored, told):
    found = undo_values.changed(live, restored)

    assert found == told
    assert "hunter" not in found


def test_long_values_are_cut_to_where_they_differ():
    live, restored = config_map(page="x" * 500 + "b" * 90), config_map(page="x" * 500 + "a" * 90)

    told = undo_values.changed(live, restored)

    assert told.startswith("key page …xxxxxxxxxxxxb")
    assert " → …xxxxxxxxxxxxa" in told
    assert len(told) < 150


def test_many_values_are_counted_once_the_line_is_full():
    live = config_map(**{f"key-{number:02}": "before it was so" for number in range(40)})
    restored = config_map(**{f"key-{number:02}": "after it is so" for number in range(40)})

    told = undo_values.changed(live, restored)

    assert told.endswith(" more")
    assert len(told) <= undo_values.LONGEST + len(" and 40 more")
    assert told.count("→") + int(told.split(" and ")[-1].split()[0]) == 40


def test_what_is_made_again_is_told_by_what_it_runs():
    assert undo_values.contents(deployment(web(), replicas=3)) == "replicas 3, image web:1.2"
    assert undo_values.contents(config_map(a="1")) == "1 key"
    assert undo_values.contents({"kind": "Role", "metadata": {"name": "r"}}) == ""


def test_binary_data_is_named_only():
    def binary(value):
        return {"kind": "ConfigMap", "metadata": {"name": "s"}, "binaryData": {"logo.png": value}}

    assert json.dumps(undo_values.changed(binary("AAAA"), binary("BBBB"))) == '"key logo.png (binary)"'
