"""Writes the configuration file (libconfig syntax) from plain Python values."""


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def value(v, indent="  "):
    """A dict is a group, a tuple a list of groups, a list an array of scalars."""
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v) if abs(v) < 2**31 else f"{v}L"
    if isinstance(v, str):
        return quote(v)
    if isinstance(v, list):
        return "[ " + ", ".join(value(item) for item in v) + " ]"
    if isinstance(v, tuple):
        return "( " + ", ".join(value(item, indent + "  ") for item in v) + " )"
    if isinstance(v, dict):
        rows = "".join(f"{indent}{k} = {value(item, indent + '  ')};\n" for k, item in v.items())
        return "{\n" + rows + indent[:-2] + "}"
    raise TypeError(type(v))


def text(settings):
    return "".join(f"{k} = {value(v)};\n" for k, v in settings.items())


def merge(base, changes):
    """`base` with `changes` laid over it; groups are merged, None removes a key."""
    out = dict(base)
    for key, item in changes.items():
        if item is None:
            out.pop(key, None)
        elif isinstance(item, dict) and isinstance(out.get(key), dict):
            out[key] = merge(out[key], item)
        else:
            out[key] = item
    return out
