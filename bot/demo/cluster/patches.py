"""The patch formats kubectl sends: merge, strategic merge, JSON patch, and apply. Pure."""

import copy
from typing import Any

Json = Any
_KEYS = ("name", "containerPort", "mountPath", "key")


def merge_patch(target: Json, patch: Json) -> Json:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_patch(target: Json, patch: Json) -> Json:
    """Like a merge, but lists of objects with a key (name, containerPort, …) are merged by it."""
    if isinstance(patch, list):
        return _merged_list(target if isinstance(target, list) else [], patch)
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith("$setElementOrder") or key == "$retainKeys":
            continue
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and value.get("$patch") == "replace":
            merged[key] = {name: one for name, one in value.items() if name != "$patch"}
        else:
            merged[key] = strategic_patch(merged.get(key), value)
    return merged


def _merged_list(target: list[Json], patch: list[Json]) -> list[Json]:
    keyed = next((key for key in _KEYS if all(isinstance(one, dict) and key in one for one in patch)), None)
    if keyed is None or not patch:
        return copy.deepcopy(patch)
    merged = copy.deepcopy(target)
    for one in patch:
        place = next((i for i, old in enumerate(merged) if old.get(keyed) == one[keyed]), None)
        if one.get("$patch") == "delete":
            if place is not None:
                del merged[place]
        elif place is None:
            merged.append(copy.deepcopy(one))
        else:
            merged[place] = strategic_patch(merged[place], one)
    return merged


def json_patch(target: Json, operations: list[Json]) -> Json:
    """RFC 6902: add, remove, replace and test."""
    changed = copy.deepcopy(target)
    for operation in operations:
        *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place = changed
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        _apply(place, last, operation)
    return changed


def _apply(place: Json, last: str, operation: Json) -> None:
    match operation["op"]:
        case "remove" if isinstance(place, list):
            del place[int(last)]
        case "remove":
            place.pop(last, None)
        case "add" if isinstance(place, list):
            place.insert(len(place) if last == "-" else int(last), copy.deepcopy(operation["value"]))
        case "test":
            found = place[int(last)] if isinstance(place, list) else place.get(last)
            if found != operation["value"]:
                raise ValueError("test failed")
        case "add" | "replace":
            place[int(last) if isinstance(place, list) else last] = copy.deepcopy(operation["value"])
        case unknown:
            raise ValueError(f"no such operation: {unknown}")
