"""Small changes to a module's source, one at a time: each is a bug that the tests should notice."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_NAMES = {"min": "max", "max": "min"}


class Mutant(NamedTuple):
    """`was` and `became` are the smallest pieces of source that show the change; `place` is a dotted name."""

    place: str
    line: int
    was: str
    became: str
    source: str

    @property
    def name(self) -> str:
        """The same as long as the code around is: line numbers move."""
        return f"{self.place}: {self.was} → {self.became}"


def mutants_of(source: str) -> Iterator[Mutant]:
    """Every mutant of a module. Annotations, docstrings and what is imported for types only are left alone."""
    tree = ast.parse(source)
    places = _places(tree)
    for number, node in enumerate(ast.walk(tree)):
        place = places.get(node)
        if place is None:
            continue
        for became in _changes(node):
            changed = copy.deepcopy(tree)
            target = next(one for index, one in enumerate(ast.walk(changed)) if index == number)
            _replace(changed, target, became)
            ast.fix_missing_locations(changed)
            yield Mutant(place, getattr(node, "lineno", 0), _shown(node), _shown(became), ast.unparse(changed))


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=comparators):
            for other in _COMPARISONS[type(op)]:
                yield ast.Compare(left, [other()], comparators)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub(), operand=operand):
            yield operand
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            yield ast.BinOp(left, _OPERATORS[type(op)](), right)
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in _OPERATORS:
            yield ast.AugAssign(target, _OPERATORS[type(op)](), value)
        case ast.IfExp(body=body, orelse=orelse):
            yield body
            yield orelse
        case ast.If(body=body, orelse=orelse):
            yield ast.If(ast.Constant(True), body, orelse)
            yield ast.If(ast.Constant(False), body, orelse)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
            if value:
                yield ast.Constant(value - 1)
        case ast.Constant(value=str(value)):
            yield ast.Constant(value + "x")
        case ast.Constant(value=bytes(value)):
            yield ast.Constant(value + b"x")
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in _NAMES:
            yield ast.Call(ast.Name(_NAMES[name], ast.Load()), args, keywords)
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield ast.Return(ast.Constant(None))
        case ast.Expr() | ast.Assign() | ast.Continue() | ast.Break() | ast.Raise():
            yield ast.Pass()
        case ast.AugAssign():
            yield ast.Pass()


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _places(tree: ast.Module) -> dict[ast.AST, str]:
    """Node → dotted name of where it stands, for nodes that do something when the module runs."""
    places: dict[ast.AST, str] = {}

    def visit(node: ast.AST, place: str) -> None:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node, (ast.Import, ast.ImportFrom)) or _is_type_checking(node):
            return
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                visit(node.value, place)
            return
        if isinstance(node, ast.Assign) and _is_slots(node):
            return
        places[node] = place
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            inner = f"{place}.{node.name}".removeprefix(".")
            if isinstance(node, ast.FunctionDef):
                for default in (*node.args.defaults, *node.args.kw_defaults):
                    if default is not None:
                        visit(default, inner)
            for statement in node.body:
                visit(statement, inner)
            return
        if isinstance(node, ast.JoinedStr):
            return  # texts for people
        for child in ast.iter_child_nodes(node):
            visit(child, place)

    for statement in tree.body:
        visit(statement, "")
    return places


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_slots(node: ast.Assign) -> bool:
    return isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__slots__"


def _replace(tree: ast.AST, target: ast.AST, became: ast.AST) -> None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, field, became)
                return
            if isinstance(value, list):
                for index, one in enumerate(value):
                    if one is target:
                        value[index] = became
                        return
    raise LookupError("the node is nowhere in the tree")


def _shown(node: ast.AST) -> str:
    if isinstance(node, ast.If):
        return f"if {ast.unparse(node.test)}"
    return " ".join(ast.unparse(node).split())
