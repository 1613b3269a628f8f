"""``--set PATH=VALUE``: a case with other numbers, or other words, than its file has.

All that is set stands at once before the case is checked, so that shares which must sum to one may
move together.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

    from riskshare.case import Case, Field
    from riskshare.parameters import FieldInfo, Given, Labels, Parameter

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
    from riskshare.errors import ArgumentError

    wanted = _read(stated or ())
    if not wanted:
        return case, ()
    told: dict[str, Setting] = {}
    try:
        fields = case.changed(wanted, lambda field, path: _set(case, field, path, wanted, told))
    except ArgumentError as error:
        raise ArgumentError(f"--set {error}") from None
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


def _set(
    case: "Case", field: "Field", path: str, wanted: Mapping[str, str], told: dict[str, Setting]
) -> Any:
    """Return what a field is to hold, and note it."""
    from riskshare.parameters import Declared, Parameter

    info, value, text = field.info, field.value, wanted[path]
    absent = value is None or value == ()
    if text == _NOTHING and not info.required and not path.endswith("]"):
        what = "given" if _holds_objects(value) or isinstance(value, Declared) else _words(value)
        told[path] = Setting(path, "not given" if absent else what, _NOTHING)
        return info.default
    if isinstance(info.declaration, Parameter):
        new = field.with_number(path, _number(text, info.declaration, case.currency, path))
        before = _number_text(value, info.declaration, field.labels, path)
        told[path] = Setting(path, before, _number_text(new, info.declaration, field.labels, path))
        return new
    new = _word(info, value, path, text)
    told[path] = Setting(path, "not given" if absent else _words(value), _words(new))
    return new


def _number(text: str, parameter: "Parameter", currency: str, path: str) -> float:
    """Return a number read as one in a table of a case."""
    from riskshare.errors import ArgumentError
    from riskshare.files.numbers import NumberError, read_number, refusal

    try:
        return read_number(text, parameter.unit, currency)
    except NumberError as error:
        accepted = f"a number ({parameter.unit})"
        raise ArgumentError(f"{path}: {refusal(text, str(error), accepted)}") from None


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
        raise ArgumentError(f"{path}: found {text!r}; accepted: true, false")
    raise ArgumentError(
        f"{path}: is no number or word but holds several; set what is in it, or change the file"
    )


def _holds_objects(value: Any) -> bool:
    from riskshare.parameters import Declared

    return isinstance(value, tuple) and bool(value) and isinstance(value[0], Declared)


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
