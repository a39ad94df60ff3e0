"""Options of a part as a frozen dataclass beside it, and the section of a config made from them and read back.

Floor 0: imports nothing of the package but its errors. Tests: tests/test_options.py.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ctc_jax.errors import ConfigError, choose, nearest

ConfigSection = Any  # a mapping of keys to values: a dict, or an ml_collections.ConfigDict, which is no Mapping


class OptionError(ValueError):
    """An option of a part has a value that does not fit.

    Args:
      name: of the option.
      found: the value.
      allowed: what is allowed, in words.
    """

    def __init__(self, name: str, found: object, allowed: str):
        super().__init__(f"{name} is {found!r}; allowed: {allowed}")
        self.name, self.found, self.allowed = name, found, allowed


@dataclass(frozen=True)
class Meaning:
    """What is stated of an option.

    Attributes:
      text: its meaning, with its unit.
      at_least: smallest value allowed.
      at_most: largest value allowed.
      above: every value allowed is larger.
      below: every value allowed is smaller.
      choices: the values allowed.
    """

    text: str
    at_least: int | float | None = None
    at_most: int | float | None = None
    above: int | float | None = None
    below: int | float | None = None
    choices: tuple = ()

    def refuses(self, value: Any, kind: type) -> str:
        """What is allowed in words where `value` is not, else ""."""
        if not _is_of_kind(value, kind):
            return self.allowed(kind)
        if self.choices:
            return "" if value in self.choices else self.allowed(kind) + nearest(str(value), map(str, self.choices))
        if kind not in (int, float):
            return ""
        inside = (
            math.isfinite(value)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )
        return "" if inside else self.allowed(kind)

    def allowed(self, kind: type) -> str:
        """Which values are allowed, in words."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        noun = {int: "a whole number", float: "a finite number", bool: "True or False", str: "a text"}[kind]
        bounds = [
            f"{words.format(bound)}"
            for words, bound in (
                ("{} or more", self.at_least),
                ("above {}", self.above),
                ("at most {}", self.at_most),
                ("below {}", self.below),
            )
            if bound is not None
        ]
        return ", ".join([noun, *bounds])


def option(default: Any, text: str, **limits: Any) -> Any:
    """A field of a dataclass of options: its default, its meaning, and the limits that `Meaning` has."""
    return dataclasses.field(default=default, metadata={"meaning": Meaning(text, **limits)})


@dataclass(frozen=True)
class Options:
    """Base of every dataclass of options; all its fields are made by `option` and are int, float, bool or str.

    Attributes:
      unused: options that the parts of a section share, and this part has no use for.

    Raises:
      OptionError: a value is of another type, not finite, or outside of its limits.
    """

    unused: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if allowed := _refused(field, value):
                raise OptionError(field.name, value, allowed)
        self.check()

    def check(self) -> None:
        """Refuses options that do not fit one another; a subclass raises `OptionError`."""


class Documented(NamedTuple):
    """One key of a config for a reader.

    Attributes:
      key: dotted.
      default: its value unless changed.
      text: its meaning.
      allowed: the values allowed, in words.
    """

    key: str
    default: Any
    text: str
    allowed: str


@dataclass(frozen=True)
class Section:
    """A section of the config: `name`, options that several parts share, and each part's own in a sub-section.

    Attributes:
      key: of the section.
      registry: parts by name, each the class of its options; empty for a section that is no choice.
      default: the part chosen by default; "" where the registry is empty.
      shared: options of the section itself.
      meaning: of `name`, in words.
    """

    key: str
    registry: Mapping[str, type[Options]] = dataclasses.field(default_factory=dict)
    default: str = ""
    shared: type[Options] = Options
    meaning: str = ""

    def defaults(self) -> dict[str, Any]:
        """What configs/base.py has of this section."""
        parts = {name: _values(part()) for name, part in self.registry.items() if dataclasses.fields(part)}
        name = {"name": self.default} if self.registry else {}
        return {**name, **_values(self.shared()), **parts}

    def read(self, config: ConfigSection) -> tuple[Any, Any]:
        """The options of the part that a section of a config names, and those that its parts share.

        A key that is missing has its default.

        Raises:
          ConfigError: an unknown name or key, or a value that does not fit, by its key.
        """
        return (self.part(config, config.get("name", self.default)) if self.registry else None), self.read_shared(
            config
        )

    def read_shared(self, config: ConfigSection) -> Any:
        """The options of the section itself.

        Raises:
          ConfigError: an unknown key, or a value that does not fit, by its key.
        """
        other = {"name", *self.registry} if self.registry else set()
        return _made(self.shared, {key: value for key, value in config.items() if key not in other}, self.key)

    def part(self, config: ConfigSection, name: str) -> Any:
        """The options of the part of that name.

        Raises:
          ConfigError: no such part, or one of its keys does not fit.
        """
        part = choose(self.registry, name, f"{self.key}.name")
        return _made(part, dict(config.get(name, {})), f"{self.key}.{name}")

    def check_shared(self, option: str, value: Any, name: str) -> None:
        """Refuses a value that a part would ignore.

        Args:
          option: of the section itself.
          value: of it.
          name: of the part.

        Raises:
          ConfigError: it is not the default, and the part has no use for it.
        """
        if name not in self.registry or option not in self.registry[name].unused:
            return
        default = getattr(self.shared(), option)
        if value != default:
            fitting = ", ".join(one for one, part in self.registry.items() if option not in part.unused)
            allowed = f"{default} with {self.key}.name={name}, which has no use for it; others with {fitting}"
            raise ConfigError(f"{self.key}.{option}", value, allowed)

    def documented(self) -> list[Documented]:
        """Every key of the section, for a reference."""
        named = []
        if self.registry:
            named = [Documented(f"{self.key}.name", self.default, self.meaning, ", ".join(self.registry))]
        of_parts = [row for name, part in self.registry.items() for row in _documented(part, f"{self.key}.{name}")]
        return [*named, *_documented(self.shared, self.key), *of_parts]


def check_names(config: Mapping[str, Any], sections: Iterable[Section]) -> None:
    """Refuses parts that are not there.

    Args:
      config: the whole config, its keys dotted.
      sections: of the config.

    Raises:
      ConfigError: a section names a part that is not in its registry.
    """
    for section in sections:
        for name in str(config[f"{section.key}.name"]).replace(" ", "").split(",") if section.registry else ():
            choose(section.registry, name, f"{section.key}.name")


def check_used(config: Mapping[str, Any], changed: Iterable[str], sections: Iterable[Section] = ()) -> None:
    """Refuses options set for a part that is not chosen, and shared ones that the chosen part has no use for.

    Args:
      config: the whole config, its keys dotted.
      changed: keys that somebody set on purpose, on the command line or in a sweep.
      sections: whose shared options are looked at.

    Raises:
      ConfigError: one of them belongs to a part that its section does not name, or changes nothing in the one it names.
    """
    known = {section.key: section for section in sections}
    for key in changed:
        section, _, rest = key.partition(".")
        part, dot, _ = rest.partition(".")
        if not is_chosen(config, key):
            allowed = f"its default, since {section}.name is {config[f'{section}.name']!r} and not {part}"
            raise ConfigError(key, config[key], allowed)
        if not dot and section in known:
            known[section].check_shared(part, config[key], config.get(f"{section}.name", ""))


def is_chosen(config: Mapping[str, Any], key: str) -> bool:
    """Whether a key of a config, both dotted, is not one of a part that its section does not name."""
    section, _, rest = key.partition(".")
    part, dot, _ = rest.partition(".")
    chosen = str(config.get(f"{section}.name", "")).replace(" ", "").split(",")
    return not dot or f"{section}.name" not in config or part in chosen


def reference(sections: Iterable[Section], prefix: str = "") -> str:
    """Every key that starts with `prefix`, each with its default, meaning and the values allowed, a line or two."""
    lines = []
    for row in (row for section in sections for row in section.documented() if row.key.startswith(prefix)):
        lines += [f"{row.key} = {row.default!r}", f"    {row.text}; allowed: {row.allowed}"]
    return "\n".join(lines)


def at(key: str, error: OptionError) -> ConfigError:
    """The error of an option as that of the config key below `key`."""
    return ConfigError(f"{key}.{error.name}", error.found, error.allowed)


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _values(options: Options) -> dict[str, Any]:
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}


def _documented(options: type[Options], key: str) -> list[Documented]:
    rows = []
    for field in dataclasses.fields(options):
        meaning = field.metadata["meaning"]
        allowed = meaning.allowed(type(field.default))
        rows.append(Documented(f"{key}.{field.name}", field.default, meaning.text, allowed))
    return rows


def _made(options: type[Options], values: Mapping[str, Any], key: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(options)}
    for name, value in values.items():
        if name not in fields:
            allowed = (", ".join(fields) or "no option") + nearest(name, fields)
            raise ConfigError(f"{key}.{name}", value, allowed)
        if allowed := _refused(fields[name], value):
            raise ConfigError(f"{key}.{name}", value, allowed)
    # A whole number stands for a float of the same value, as on the command line.
    made = {
        name: float(value) if type(fields[name].default) is float and type(value) is int else value
        for name, value in values.items()
    }
    try:
        return options(**made)
    except OptionError as error:
        raise at(key, error) from None


def _refused(field: dataclasses.Field, value: Any) -> str:
    return field.metadata["meaning"].refuses(value, type(field.default))


def _is_of_kind(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is kind
