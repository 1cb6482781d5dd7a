"""`dataclass` and `NamedTuple` for a program that starts fast: the same classes, with methods that all of them share.

The standard library compiles some for each class, which takes longer than to import what most programs do, and an
agent's one pass meets a few of those that the contract describes. A program that calls `put_off` before it imports any
of them has nothing compiled, and a class's fields read when somebody asks for them; the server, and whoever else makes
a great many of few kinds, gets the standard library's.
"""

from __future__ import annotations

from _thread import RLock
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Dict, List, NamedTuple, Tuple

if TYPE_CHECKING:
    from dataclasses import dataclass

    _Values = Tuple[Any, ...]
else:
    _Values = tuple

    def dataclass(*, frozen: bool) -> Callable[[type], type]:
        """As the standard library's, for what has no `__post_init__` and is compared field by field."""
        if _putting_off:
            return _sharing if frozen else _sharing_but_changing
        import dataclasses

        return dataclasses.dataclass(frozen=frozen)


__all__ = ["NamedTuple", "dataclass", "put_off"]
_putting_off: List[bool] = []
_making = RLock()
_NAME = "__dataclass_fields__"
_SHARED = ("__init__", "__repr__", "__eq__", "__hash__")
_FROZEN = ("__setattr__", "__delattr__")


def put_off() -> None:
    """What is declared from now on has shared methods, and fields when they are asked for."""
    _putting_off[:] = [True]
    globals()["NamedTuple"] = _NamedTuple


class _Fields:
    """Stands for a class's fields until somebody asks."""

    def __get__(self, instance: Any, owner: Any) -> Dict[str, Any]:
        import dataclasses

        with _making:
            for cls in reversed(owner.__mro__):
                if isinstance(cls.__dict__.get(_NAME), _Fields):
                    dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
        found: Dict[str, Any] = owner.__dataclass_fields__
        return found


def _sharing(cls: Any) -> Any:
    for name in (*_SHARED, *_FROZEN):
        if name not in cls.__dict__:
            setattr(cls, name, vars(_Record)[name])
    setattr(cls, _NAME, _Fields())
    return cls


def _sharing_but_changing(cls: Any) -> Any:
    _sharing(cls)
    for name in _FROZEN:
        delattr(cls, name)
    cls.__hash__ = None
    return cls


class _Record:
    """The methods that classes share."""

    def __init__(self, *values: Any, **named: Any) -> None:
        fields: Dict[str, Any] = getattr(self, _NAME)
        given = self.__dict__
        given.update(zip(fields, values))
        if len(values) > len(fields) or named.keys() - fields.keys() or given.keys() & named.keys():
            raise TypeError("%s() takes %s" % (type(self).__name__, ", ".join(fields)))
        given.update(named)
        if len(given) < len(fields):
            given.update({name: _default(self, field) for name, field in fields.items() if name not in given})

    def __repr__(self) -> str:
        fields: Dict[str, Any] = getattr(self, _NAME)
        shown = ["%s=%r" % (name, getattr(self, name)) for name, field in fields.items() if field.repr]
        return "%s(%s)" % (type(self).__qualname__, ", ".join(shown))

    def __eq__(self, other: object) -> bool:
        return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(_values(self))

    def __setattr__(self, name: str, _value: Any) -> None:
        _refuse("assign to", name)

    def __delattr__(self, name: str) -> None:
        _refuse("delete", name)


def _default(self: Any, field: Any) -> Any:
    import dataclasses

    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    if field.default is dataclasses.MISSING:
        raise TypeError("%s() lacks %s" % (type(self).__name__, field.name))
    return field.default


def _values(self: Any) -> Tuple[Any, ...]:
    return tuple(getattr(self, name) for name in getattr(self, _NAME))


def _refuse(what: str, name: str) -> None:
    import dataclasses

    raise dataclasses.FrozenInstanceError("cannot %s field %r" % (what, name))


class _Naming(type):
    """Takes fields from the body of a class, as `typing.NamedTuple` does."""

    def __new__(cls, name: str, bases: Tuple[type, ...], body: Dict[str, Any]) -> Any:
        fields = tuple(body.get("__annotations__", ())) if bases != (tuple,) else ()
        defaults = {field: body.pop(field) for field in fields if field in body}
        getters = {field: property(itemgetter(at)) for at, field in enumerate(fields)}
        named = {"__slots__": (), "_fields": fields, "_field_defaults": defaults}
        return super().__new__(cls, name, bases, {**body, **getters, **named})


class _NamedTuple(_Values, metaclass=_Naming):
    _fields: ClassVar[Tuple[str, ...]]
    _field_defaults: ClassVar[Dict[str, Any]]

    def __new__(cls, *values: Any, **named: Any) -> Any:
        fields, defaults = cls._fields, cls._field_defaults
        if named or len(values) != len(fields):
            rest = fields[len(values) :]
            values += tuple([named.pop(name, defaults.get(name)) for name in rest if name in named or name in defaults])
            if named or len(values) != len(fields):
                raise TypeError("%s() takes %s" % (cls.__name__, ", ".join(fields)))
        return super().__new__(cls, values)

    def __repr__(self) -> str:
        return "%s(%s)" % (type(self).__name__, ", ".join("%s=%r" % item for item in self._asdict().items()))

    def __getnewargs__(self) -> Tuple[Any, ...]:
        return tuple(self)

    def _asdict(self) -> Dict[str, Any]:
        return dict(zip(self._fields, self))

    def _replace(self, **named: Any) -> Any:
        return type(self)(**{**self._asdict(), **named})
