"""``--set PATH=VALUE``: a case with other numbers, or other words, than its file has.

All that is set stands at once before the case is checked, so that shares which must sum to one may
move together.
"""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

    from riskshare.case import Case
    from riskshare.errors import ArgumentError
    from riskshare.parameters import FieldInfo, Given, Labels, Parameter

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        # the backslash, because help is markup, which would take the brackets for a style
        help='Another number or word than the file has, as "msk.pool.share\\[acute]=0.4"; `none` '
        "leaves out what may be left out. May be given more than once; all are set together.",
    ),
]

_NOTHING = "none"


@dataclass(frozen=True)
class Setting:
    """What was set: the path, and what stood and stands there, as text."""

    path: str
    before: str
    after: str

    def __str__(self) -> str:
        """Return ``path: before -> after``."""
        return f"{self.path}: {self.before} -> {self.after}"


def with_settings(case: "Case", stated: Sequence[str] | None) -> "tuple[Case, tuple[Setting, ...]]":
    """Return the case with everything that options set, and what was set from what to what.

    Parameters
    ----------
    case
        As it was read.
    stated
        Texts ``PATH=VALUE``. A number may name one label of what holds for all; a text is read as
        cells of tables are (``12.5%`` of shares and rates, ``1,234`` of money and counts).

    Raises
    ------
    ArgumentError
        For a text without ``=``, a path that the case lacks or that stands twice, a value that is
        no number where one belongs.
    CaseError
        For what the case cannot be: numbers out of bounds, shares that do not sum to one, a word
        that is not accepted, a field that another one needs.
    """
    wanted = _read(stated or ())
    if not wanted:
        return case, ()
    left, told = dict(wanted), dict[str, Setting]()
    fields = _replaced(case, "", case, case.labels(), left, told)
    if left:
        raise _unknown(case, next(iter(left)))
    gone = tuple(path for path, text in wanted.items() if text == _NOTHING)
    for notes in ("assumptions", "sources"):  # of what is gone there is nothing to note
        held = {k: v for k, v in getattr(case, notes).items() if not k.startswith(gone)}
        fields[notes] = held if gone else getattr(case, notes)
    return dataclasses.replace(case, **fields), tuple(told[path] for path in wanted)


def print_settings(console: "Console", told: Sequence[Setting]) -> None:
    """Print what was set, a line each, and a blank line."""
    for setting in told:
        console.print(f"set  {setting}")
    if told:
        console.print()


def noted(result: "xr.Dataset", told: Sequence[Setting]) -> "xr.Dataset":
    """Return a result that says what was set, so that it can be made again."""
    if not told:
        return result
    return result.assign_attrs(set=[f"{setting.path}={setting.after}" for setting in told])


def _read(stated: Sequence[str]) -> dict[str, str]:
    """Return texts by path; numbers for all labels before those for some."""
    from riskshare.errors import ArgumentError
    from riskshare.parameters import split_path

    found: dict[str, str] = {}
    for text in stated:
        path, equals, value = text.partition("=")
        path, value = path.strip(), value.strip()
        if not (equals and path and value):
            raise ArgumentError(
                f"--set {text}: accepted: a path and its value, as msk.pool.share[acute]=0.4"
            )
        if path in found:
            raise ArgumentError(f"--set {path} is given twice, {found[path]} and {value}; give one")
        found[path] = value
    return dict(sorted(found.items(), key=lambda item: len(split_path(item[0])[1])))


def _replaced(
    node: Any,
    prefix: str,
    case: "Case",
    labels: "Labels",
    left: dict[str, str],
    told: dict[str, Setting],
) -> dict[str, Any]:
    """Return the fields of a declared object that differ once all that is left to set is set."""
    from riskshare.parameters import Declared, Parameter, fields_of, item_path, split_path

    changed: dict[str, Any] = {}
    labels = _own_labels(case, node, labels)
    for info in fields_of(type(node)):
        value: Any = getattr(node, info.name)
        at = ".".join(part for part in (prefix, info.name.rstrip("_")) if part)
        number = isinstance(info.declaration, Parameter)
        for path in [p for p in left if p == at or (number and split_path(p)[0] == at)]:
            new = _leaf(case, labels, info, value, path, left.pop(path), told)
            changed[info.name] = value = new
        if isinstance(value, Declared):
            inner = _replaced(value, at, case, labels, left, told)
            if inner:
                changed[info.name] = _with_fields(value, inner)
        elif isinstance(value, tuple) and value and isinstance(value[0], Declared):
            parts = [
                _replaced(item, item_path(prefix, info, item, i), case, labels, left, told)
                for i, item in enumerate(value)
            ]
            if any(parts):
                changed[info.name] = tuple(
                    dataclasses.replace(item, **part) if part else item
                    for item, part in zip(value, parts, strict=True)
                )
    return changed


def _with_fields(node: Any, fields: Mapping[str, Any]) -> Any:
    return dataclasses.replace(node, **fields)


def _leaf(
    case: "Case",
    labels: "Labels",
    info: "FieldInfo",
    value: Any,
    path: str,
    text: str,
    told: dict[str, Setting],
) -> Any:
    """Return what a field is to hold, and note it."""
    from riskshare.parameters import Declared, Parameter

    absent = value is None or value == ()
    if text == _NOTHING and not info.required and not path.endswith("]"):
        what = "given" if _holds_objects(value) or isinstance(value, Declared) else _words(value)
        told[path] = Setting(path, "not given" if absent else what, _NOTHING)
        return info.default
    if isinstance(info.declaration, Parameter):
        new = _number(case, value, info.declaration, labels, path, text)
        before = _number_text(value, info.declaration, labels, path)
        told[path] = Setting(path, before, _number_text(new, info.declaration, labels, path))
        return new
    new = _word(info, value, path, text)
    told[path] = Setting(path, "not given" if absent else _words(value), _words(new))
    return new


def _own_labels(case: "Case", node: Any, labels: "Labels") -> "Labels":
    """Return the labels that numbers of an object may vary by: a contract's scope, a term's lines.

    As the check of a case has them.
    """
    from riskshare.case import Contract

    own = dict(labels)
    if isinstance(node, Contract):
        own["line"] = case.scope_lines(node)
        if node.partners is not None:
            outside = {p.name for p in case.partners if p.kind in ("external", "pool")}
            own["partner"] = tuple(
                name for name in labels["partner"] if name in {*node.partners, *outside}
            )
    lines = getattr(node, "lines", None)
    if lines and all(isinstance(line, str) for line in lines):
        own["line"] = tuple(lines)
    other = getattr(node, "other", None)
    if isinstance(other, Mapping):
        own["item"] = tuple(other)
    return own


def _number(
    case: "Case", given: "Given", parameter: "Parameter", labels: "Labels", path: str, text: str
) -> "Given":
    """Return a given value in which a number stands where its path says."""
    from riskshare.errors import ArgumentError
    from riskshare.files.numbers import NumberError, read_number, refusal
    from riskshare.parameters import FrozenMap, set_label, split_path

    try:
        value = read_number(text, parameter.unit, case.currency)
    except NumberError as error:
        accepted = f"a number ({parameter.unit})"
        raise ArgumentError(f"--set {path}: {refusal(text, str(error), accepted)}") from None
    keys = split_path(path)[1]
    if given is None and keys:
        new: Any = value
        for key in reversed(keys):
            new = FrozenMap({key: new})
        return new
    try:
        return set_label(given, keys, value, parameter, labels)
    except KeyError as missing:
        known = [label for axis in parameter.all_axes for label in labels.get(axis, ())]
        near = difflib.get_close_matches(str(missing.args[0]), known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        listed = f"accepted: {', '.join(known)}" if known else "it has no labels"
        raise ArgumentError(f"--set {path}: no label {missing} there; {hint}{listed}") from None


def _number_text(given: "Given", parameter: "Parameter", labels: "Labels", path: str) -> str:
    """Return the number at a path as text: that of all labels where it has none of its own."""
    from riskshare.files.numbers import shown
    from riskshare.parameters import label_path, numbers_in, split_path

    head, keys = split_path(path)
    numbers = dict(numbers_in(given, head, labels, parameter.sequence))
    for count in range(len(keys), -1, -1):
        at = head
        for key in keys[:count]:
            at = label_path(at, key)
        if at in numbers:
            return shown(float(numbers[at]))
    if keys and given is not None and parameter.fill is not None:
        return shown(parameter.fill)
    each = (f"{','.join(split_path(name)[1])} {shown(float(v))}" for name, v in numbers.items())
    return ", ".join(each) or "not given"


def _word(info: "FieldInfo", value: Any, path: str, text: str) -> Any:
    """Return a word, a list of words or a yes or no, as the field takes it."""
    from riskshare.checks.given import literals, plain_types
    from riskshare.errors import ArgumentError
    from riskshare.parameters import Reference

    kinds = plain_types(info.type)
    many = isinstance(info.declaration, Reference) and info.declaration.many
    if many or (tuple in kinds and not _holds_objects(value)):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if literals(info.type) or str in kinds or isinstance(info.declaration, Reference):
        return text
    if bool in kinds and text in ("true", "false"):
        return text == "true"
    if bool in kinds:
        raise ArgumentError(f"--set {path}: found {text!r}; accepted: true, false")
    raise ArgumentError(
        f"--set {path}: is no number or word but holds several; set what is in it, or change the "
        "file"
    )


def _holds_objects(value: Any) -> bool:
    from riskshare.parameters import Declared

    return isinstance(value, tuple) and bool(value) and isinstance(value[0], Declared)


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown(case: "Case", path: str) -> "ArgumentError":
    """Return the error of a path that nothing in the case has."""
    from riskshare.errors import ArgumentError
    from riskshare.parameters import field_paths

    known = dict.fromkeys([*case.numbers(), *field_paths(case)])
    near = difflib.get_close_matches(path, known, n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else "; paths are those of error messages"
    return ArgumentError(f"--set {path}: nothing in the case has that path{hint}")
